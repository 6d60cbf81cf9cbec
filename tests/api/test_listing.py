"""GET /v1/jobs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes.listing import JobPage
from tests.support.services import Services


def post(client: TestClient, query: str = "", type: str = "log") -> str:
    payload = {"text": "x"} if type == "log" else {"number": 1}
    answer = client.post(f"/v1/jobs/{type}{query}", json=payload)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def list_ids(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/v1/jobs{query}")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


def test_no_jobs_are_an_empty_page(client: TestClient) -> None:
    answer = client.get("/v1/jobs")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})
    assert "link" not in answer.headers


def test_the_newest_comes_first_and_twenty_at_most(client: TestClient) -> None:
    ids = [post(client) for _ in range(21)]
    assert list_ids(client) == ids[:0:-1]


def test_a_job_is_shown_as_it_is_alone(client: TestClient) -> None:
    parent = post(client, "?tag=red")
    post(client, f"?after={parent}")
    page = client.get("/v1/jobs").json()
    assert page["items"] == [client.get(job["links"]["self"]).json() for job in page["items"]]
    TypeAdapter(JobPage).validate_python(page, extra="forbid")


def test_the_link_leads_through_all_pages(client: TestClient) -> None:
    ids = [post(client, "?tag=a:b") for _ in range(5)]
    seen, url = [], f"/v1/jobs?limit=2&tag={quote('a:b')}&created_after={quote('2020-01-01T00:00:00+00:00')}"
    while url:
        answer = client.get(url)
        seen.append([job["id"] for job in answer.json()["items"]])
        url = answer.links.get("next", {}).get("url", "")
        assert bool(url) == bool(answer.json()["next"])
    assert seen == [ids[4:2:-1], ids[2:0:-1], ids[:1]]


def test_each_filter_counts_and_all_of_them_together(client: TestClient) -> None:
    log, tally, red = post(client), post(client, type="tally"), post(client, "?tag=red&tag=new", "tally")
    assert list_ids(client, "?type=tally") == list_ids(client, "?queue=default") == [red, tally]
    assert list_ids(client, "?tag=red") == list_ids(client, "?tag=new&type=tally&status=queued") == [red]
    assert list_ids(client, "?status=queued") == [red, tally, log]
    assert list_ids(client, "?type=log&tag=red") == list_ids(client, "?type=none") == []


def test_times_are_from_the_first_moment_to_before_the_last(client: TestClient) -> None:
    ids = [post(client) for _ in range(3)]
    created = [quote(client.get(f"/v1/jobs/{id}").json()["created_at"]) for id in ids]
    assert list_ids(client, f"?created_after={created[1]}") == [ids[2], ids[1]]
    assert list_ids(client, f"?created_before={created[1]}") == [ids[0]]
    assert list_ids(client, f"?created_after={created[0]}&created_before={created[2]}") == [ids[1], ids[0]]


def test_an_offset_is_understood(client: TestClient) -> None:
    id = post(client)
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H:00:00")
    assert list_ids(client, f"?created_after={hour}%2B00:00") == [id]
    assert list_ids(client, f"?created_after={hour}-14:00") == []


@pytest.mark.parametrize("status", ["scheduled", "deferred", "canceled", "failed"])
def test_a_status_is_found(client: TestClient, redis: Redis, status: str) -> None:
    other = post(client, "?delay_seconds=60" if status != "scheduled" else "")
    if status == "scheduled":
        id = post(client, "?delay_seconds=60")
    elif status == "deferred":
        id = post(client, f"?after={other}")
    else:
        id = post(client)
        redis.hset(f"rq:job:{id}", "status", status)
        redis.zadd(f"rq:{status}:log", {id: 2_000_000_000})
    assert list_ids(client, f"?status={status}") == [id]


def test_a_job_that_has_expired_is_left_out(client: TestClient, redis: Redis) -> None:
    ids = [post(client) for _ in range(3)]
    redis.delete(f"rq:job:{ids[1]}")
    assert list_ids(client, "?limit=2") == [ids[2], ids[0]]


def test_a_deleted_job_is_left_out(client: TestClient) -> None:
    ids = [post(client, "?tag=red") for _ in range(3)]
    assert client.delete(f"/v1/jobs/{ids[1]}").status_code == 204
    assert list_ids(client, "?tag=red") == [ids[2], ids[0]]


def read_fault(client: TestClient, query: str) -> tuple[str, str]:
    answer = client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem-type:errand:invalid-parameter")
    (fault,) = answer.json()["errors"]
    return fault["parameter"], fault["detail"]


@pytest.mark.parametrize("cursor", ["", "x", "%00", "bm90aGluZw", "ü", "a" * 999])
def test_what_is_no_cursor_is_refused(client: TestClient, cursor: str) -> None:
    parameter, detail = read_fault(client, f"cursor={cursor}")
    assert (parameter, "it is no cursor of this list" in detail) == ("cursor", True)


def test_a_cursor_of_other_filters_is_refused(client: TestClient) -> None:
    for _ in range(2):
        post(client)
    cursor = client.get("/v1/jobs?limit=1&type=log").json()["next"]
    assert len(list_ids(client, f"?type=log&limit=5&cursor={cursor}")) == 1  # another limit is no other filter
    assert "other filters" in read_fault(client, f"cursor={cursor}")[1]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=done", "status"),
        ("tag=a%20b", "tag"),
        ("type=", "type"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-01-01T00:00:00", "created_before"),
        ("page=2", "page"),
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, query: str, parameter: str) -> None:
    assert read_fault(client, query)[0] == parameter


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_times_far_away_are_no_fault(client: TestClient, year: str) -> None:
    id = post(client)
    assert list_ids(client, f"?created_after={year}-06-01T00:00:00Z") == ([id] if year == "0001" else [])
    assert list_ids(client, f"?created_before={year}-06-01T00:00:00Z") == ([id] if year == "9999" else [])


def test_jobs_of_every_end_are_found(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    good = services.post("parent", {"value": "Hi"}, "?tag=red")
    bad = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True}, "?tag=red")
    child = services.wait_for(good)["result"]
    services.wait_for(bad)
    services.wait_for(child)

    def find(query: str) -> list[Any]:
        return [job["id"] for job in services.call("GET", f"/v1/jobs?{query}").body["items"]]

    assert find("tag=red") == [bad, good]
    assert find("status=finished") == [child, good]
    assert find("status=failed") == [bad]
    assert find("type=echo") == [child]
    assert find("limit=3") == [child, bad, good] or find("limit=3") == [bad, child, good]
