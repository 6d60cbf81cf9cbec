"""Which methods a path has: a 405 names all of them."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OWN = {"Sec-Fetch-Site": "same-origin"}
PAGES = ["/", "/docs", "/openapi.json", "/static-offline-docs/nothing.js"]
CONSOLE = ["/console", "/console/", "/console/jobs", "/console/jobs/ask", "/console/login", "/console/logout"]


def ask(client: TestClient, method: str, path: str) -> tuple[int, list[str] | None]:
    answer = client.request(method, path, headers=OWN, follow_redirects=False)
    return answer.status_code, answer.headers["Allow"].split(", ") if "Allow" in answer.headers else None


def list_paths(client: TestClient) -> Iterator[str]:
    app = client.app
    assert isinstance(app, FastAPI)
    yield from (path.replace("{", "").replace("}", "") for path in app.openapi()["paths"] if "/events" not in path)
    yield from [*PAGES, *CONSOLE]


def test_a_405_names_all_methods_of_the_path_and_no_other(client: TestClient) -> None:
    for path in list_paths(client):
        answers = {method: ask(client, method, path) for method in METHODS}
        possible = [method for method, (status, _) in answers.items() if status != 405]
        assert possible, path
        for method, (status, allow) in answers.items():
            assert status != 405 or allow == possible, (method, path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/v1/jobs/38af6431-43a1-4b43-9f21-3bd1d8b6b6a5", ["GET", "HEAD", "POST", "DELETE"]),
        ("POST", "/v1/schedules/nightly", ["GET", "HEAD", "PUT", "DELETE"]),
        ("OPTIONS", "/livez", ["GET", "HEAD"]),
        ("PUT", "/console/login", ["GET", "HEAD", "POST"]),
    ],
)
def test_allow_joins_the_routes_of_a_path(client: TestClient, method: str, path: str, allow: list[str]) -> None:
    assert ask(client, method, path) == (405, allow)


def test_a_path_of_nobody_s_is_a_404_for_every_method(client: TestClient) -> None:
    assert [ask(client, method, "/nothing") for method in METHODS] == [(404, None)] * len(METHODS)


def test_a_refused_head_is_shown_of_head(client: TestClient) -> None:
    answer = client.head("/v1/queues/default/pause")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
