"""`GET /v1/batches/{id}/jobs`, and `batch` as a filter of the lists."""

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes.batch_jobs import BatchJobPage
from errand.worker.records import Records
from tests.worker.scripts import build_records, send_report, take


@pytest.fixture
def records(redis: Redis) -> Records:
    return build_records(redis)


def post_batch(client: TestClient, count: int) -> tuple[str, list[str]]:
    items = [{"number": number} for number in range(count)]
    batch = client.post("/v1/batches/tally", json={"items": items}).json()
    return batch["links"]["jobs"], [job["id"] for job in batch["jobs"]]


def walk(client: TestClient, url: str) -> list[list[str]]:
    pages = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        pages.append([job["id"] for job in answer.json()["items"]])
        url = answer.links.get("next", {}).get("url", "")
        assert bool(url) == bool(answer.json()["next"])
    return pages


def test_its_jobs_come_in_the_order_of_the_items_page_after_page(client: TestClient) -> None:
    link, ids = post_batch(client, 25)
    assert walk(client, link) == [ids[:20], ids[20:]]
    assert walk(client, f"{link}?limit=5") == [ids[first : first + 5] for first in range(0, 25, 5)]
    assert client.get(link.removesuffix("/jobs")).json()["links"]["jobs"] == link


def test_each_is_shown_as_it_is_alone_with_its_result(client: TestClient, records: Records) -> None:
    link, ids = post_batch(client, 3)
    send_report(records, "finished", take(records)[0])
    page = client.get(f"{link}?fields=payload").json()
    assert page["items"] == [client.get(f"/v1/jobs/{id}?fields=payload").json() for id in ids]
    assert [job["status"] for job in page["items"]] == ["finished", "queued", "queued"]
    TypeAdapter(BatchJobPage).validate_python(client.get(link).json(), extra="forbid")


def test_one_that_is_gone_is_shown_by_the_batchs_record(client: TestClient, redis: Redis, records: Records) -> None:
    link, ids = post_batch(client, 3)
    send_report(records, "finished", take(records)[0])
    redis.delete(*(f"rq:job:{id}" for id in ids[:2]))
    page = client.get(link).json()
    links = {"batch": link.removesuffix("/jobs")}
    gone = {"type": "tally", "result": None, "error": None, "links": links}
    assert page["items"][0] == {"id": ids[0], "status": "finished", **gone}
    assert page["items"][1] == {"id": ids[1], "status": "deleted", **gone}
    assert page["items"][2]["status"] == "queued"
    TypeAdapter(BatchJobPage).validate_python(page, extra="forbid")


def test_they_may_be_asked_for_by_status(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 12)
    for id in ids[::3]:
        redis.hset(f"rq:job:{id}", "status", "failed")
    redis.delete(f"rq:job:{ids[1]}")
    assert walk(client, f"{link}?status=failed&limit=2") == [[ids[0], ids[3]], [ids[6], ids[9]]]
    assert walk(client, f"{link}?status=deleted") == [[ids[1]]]
    assert client.get(f"{link}?status=gone").status_code == 422


def test_a_page_ends_where_its_jobs_are_large(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 3)
    redis.hset(f"rq:job:{ids[0]}", "errand_error", f'{{"type": "E", "message": "{"x" * 1024 * 1024}"}}')
    assert walk(client, link) == [ids[:1], ids[1:]]


@pytest.mark.thorough
def test_the_whole_of_the_largest_batch_is_found(client: TestClient) -> None:
    link, ids = post_batch(client, 1000)
    assert [id for page in walk(client, f"{link}?limit=100") for id in page] == ids


def test_another_cursor_and_another_id_are_refused(client: TestClient) -> None:
    link, _ = post_batch(client, 3)
    other, _ = post_batch(client, 3)
    cursor = client.get(f"{link}?limit=1").json()["next"]
    foreign = client.get(f"{other}?cursor={cursor}")
    assert (foreign.status_code, foreign.json()["errors"][0]["parameter"]) == (422, "cursor")
    assert client.get("/v1/batches/5f0c7d1e-0000-4000-8000-000000000000/jobs").status_code == 404
    assert client.get("/v1/batches/x/jobs").status_code == 404


def test_the_record_of_a_schedule_lists_its_jobs_too(client: TestClient, redis: Redis) -> None:
    client.put("/v1/schedules/nightly", json={"type": "tally", "payload": {"number": 1}, "every_seconds": 3600})
    batch = ""
    ids = set()
    for _ in range(3):
        job = client.post("/v1/schedules/nightly/run").json()
        ids.add(job["id"])
        batch = client.get(f"/v1/jobs/{job['id']}").json()["links"]["batch"]
    pages = walk(client, f"{batch}/jobs?limit=2")
    assert [len(page) for page in pages] == [2, 1]
    assert {id for page in pages for id in page} == ids


def test_the_lists_take_a_batch_as_a_filter_with_the_others(client: TestClient, redis: Redis) -> None:
    link, ids = post_batch(client, 5)
    post_batch(client, 2)
    batch = link.split("/")[3]
    pages = walk(client, f"/v1/jobs?batch={batch}&limit=2")
    assert ([len(page) for page in pages], {id for page in pages for id in page}) == ([2, 2, 1], set(ids))
    redis.hset(f"rq:job:{ids[3]}", "status", "failed")
    assert walk(client, f"/v1/jobs?batch={batch}&status=failed&type=tally") == [[ids[3]]]
    assert walk(client, f"/v1/jobs?batch={batch}&type=log") == [[]]
    assert walk(client, "/v1/jobs?batch=5f0c7d1e-0000-4000-8000-000000000000") == [[]]
    assert client.get("/v1/jobs?batch=x").status_code == 422


def test_dead_letters_of_a_batch_are_found_requeued_and_deleted(client: TestClient, records: Records) -> None:
    other, _ = post_batch(client, 1)
    link, ids = post_batch(client, 4)
    for execution in take(records, 4):
        send_report(records, "permanent", execution)
    batch = link.split("/")[3]
    pages = walk(client, f"/v1/dead-letters?batch={batch}&limit=2")
    assert ([len(page) for page in pages], {id for page in pages for id in page}) == ([2, 1], set(ids[:3]))
    assert client.post(f"/v1/dead-letters/delete?batch={batch}&dry_run=true").json()["deleted"] == 3
    requeued = client.post(f"/v1/dead-letters/requeue?batch={batch}").json()
    assert (requeued["requeued"], set(requeued["ids"])) == (3, set(ids[:3]))
    assert client.get(link.removesuffix("/jobs")).json()["queued"] == 4
    assert client.get(other.removesuffix("/jobs")).json()["failed"] == 1
