"""Query parameters: what a route does not have, or has once, is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient


def list_parameters(client: TestClient) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield method, path, name and schema of every query parameter in the document."""
    app = client.app
    assert isinstance(app, FastAPI)
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    yield method, path.replace("{", "").replace("}", ""), parameter["name"], parameter["schema"]


def test_a_parameter_that_is_no_list_may_be_there_once(client: TestClient) -> None:
    found = list(list_parameters(client))
    assert len(found) > 60
    for method, path, name, schema in found:
        answer = client.request(method, f"{path}?{name}=1&{name}=1")
        faults = [] if answer.status_code != 422 else answer.json()["errors"]
        repeated = [fault["parameter"] for fault in faults if fault["detail"].endswith("give it once")]
        assert repeated == ([] if schema.get("type") == "array" else [name]), (method, path, name)


@pytest.mark.parametrize("query", ["delay_seconds=1&delay_seconds=2", "delay_seconds=&delay%5Fseconds=5"])
def test_neither_of_two_values_is_guessed_at(client: TestClient, redis: Redis, query: str) -> None:
    answer = client.post(f"/v1/jobs/log?{query}", json={"text": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    fault = {"parameter": "delay_seconds", "detail": "it is there 2 times; give it once"}
    assert (answer.json()["type"], answer.json()["errors"]) == ("urn:problem-type:errand:invalid-parameter", [fault])
    assert redis.keys("rq:*") == []


def test_lists_may_repeat(client: TestClient) -> None:
    answer = client.post("/v1/jobs/log?tag=a&tag=b", json={"text": "x"})
    assert (answer.status_code, answer.json()["tags"]) == (202, ["a", "b"])


def test_what_repeats_and_what_is_unknown_is_shown_at_once(client: TestClient) -> None:
    answer = client.get("/v1/jobs?limit=1&limit=2&limit=3&size=1&size=2&type=log")
    assert [fault["parameter"] for fault in answer.json()["errors"]] == ["limit", "size"]
    assert answer.json()["errors"][0]["detail"] == "it is there 3 times; give it once"


def test_the_tutorial_s_own_parameters_are_read_the_same_way(client: TestClient) -> None:
    answer = client.post("/send-notification/ada@example.com?message=a&message=b")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "message")
