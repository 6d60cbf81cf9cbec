"""`after` a batch: jobs that wait for all jobs of it."""

import pytest
from redis import Redis
from rq.job import Job as RQJob
from starlette.testclient import TestClient

from errand.worker.records import Records
from tests.support.services import Services
from tests.worker.scripts import build_records, send_report, take

WORDS = ("cancel", "run", "wait")


@pytest.fixture
def records(redis: Redis) -> Records:
    return build_records(redis)


def post_batch(client: TestClient, count: int, query: str = "") -> tuple[str, list[str]]:
    answer = client.post(f"/v1/batches/tally{query}", json={"items": [{"number": 1}] * count})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], [job["id"] for job in answer.json()["jobs"]]


def post(client: TestClient, *parents: str, on_failure: str = "cancel", more: str = "") -> str:
    query = "&".join([f"on_failure={on_failure}", *(f"after={parent}" for parent in parents)])
    answer = client.post(f"/v1/jobs/tally?{query}{more}", json={"number": 1})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def read_status(client: TestClient, id: str) -> str:
    return str(client.get(f"/v1/jobs/{id}").json()["status"])


def run(records: Records, *ids: str, kind: str = "finished") -> None:
    """Let queued jobs end in this way; the others of their queue stay."""
    executions = {execution.job_id: execution for execution in take(records, 200)}
    for id in ids:
        send_report(records, kind, executions[id])
    records.leases.release("interrupted")


@pytest.mark.quick
def test_it_runs_when_all_of_the_batch_has_finished(services: Services) -> None:
    services.start_api()
    batch = services.call("POST", "/v1/batches/sleep", {"items": [{"seconds": 0.1}, {"seconds": 0.6}]}).body
    child = services.post("echo", {"value": 1}, f"?after={batch['id']}")
    services.start_worker()
    job = services.wait_for(child)
    assert (job["status"], job["depends_on"]) == ("finished", [batch["id"]])
    assert all(services.read(one["id"])["ended_at"] <= job["started_at"] for one in batch["jobs"])


def test_a_plain_rq_worker_waits_for_all_of_it_too(services: Services, redis: Redis) -> None:
    services.start_api()
    batch = services.call("POST", "/v1/batches/sleep", {"items": [{"seconds": 0.1}, {"seconds": 0.6}]}).body
    child = services.post("echo", {"value": 1}, f"?after={batch['id']}")
    services.start_plain_worker()
    job = services.wait_for(child)
    assert job["status"] == "finished"
    assert all(services.read(one["id"])["ended_at"] <= job["started_at"] for one in batch["jobs"])
    stored = RQJob.fetch(child, connection=redis, serializer="json")
    assert {one.id for one in stored.fetch_dependencies()} == {one["id"] for one in batch["jobs"]}


def test_the_last_job_of_the_batch_lets_it_go(client: TestClient, records: Records) -> None:
    batch, ids = post_batch(client, 30)
    child = post(client, batch)
    for id in ids:
        assert read_status(client, child) == "deferred"
        run(records, id)
    assert read_status(client, child) == "queued"
    assert client.get(f"/v1/jobs/{ids[0]}").json()["dependents"] == []


@pytest.mark.parametrize(("word", "status"), [("cancel", "canceled"), ("run", "deferred"), ("wait", "deferred")])
def test_a_failure_in_the_batch_is_that_of_a_job(client: TestClient, records: Records, word: str, status: str) -> None:
    batch, ids = post_batch(client, 3)
    child = post(client, batch, on_failure=word)
    run(records, ids[1], kind="permanent")
    assert read_status(client, child) == status
    run(records, ids[0], ids[2])
    ends = {"cancel": "canceled", "run": "queued", "wait": "deferred"}
    assert read_status(client, child) == ends[word]
    if word == "wait":
        client.post(f"/v1/jobs/{ids[1]}/requeue")
        run(records, ids[1])
        assert read_status(client, child) == "queued"


@pytest.mark.parametrize("word", WORDS)
def test_a_batch_that_has_ended_already_is_judged_at_once(client: TestClient, records: Records, word: str) -> None:
    finished, ids = post_batch(client, 2)
    run(records, *ids)
    failed, ids = post_batch(client, 2)
    run(records, ids[0])
    run(records, ids[1], kind="permanent")
    assert read_status(client, post(client, finished, on_failure=word)) == "queued"
    status = read_status(client, post(client, finished, failed, on_failure=word))
    assert status == {"cancel": "canceled", "run": "queued", "wait": "deferred"}[word]


@pytest.mark.parametrize("word", WORDS)
def test_jobs_that_have_expired_count_by_the_batchs_record(
    client: TestClient, redis: Redis, records: Records, word: str
) -> None:
    batch, ids = post_batch(client, 3)
    run(records, ids[0])
    redis.delete(f"rq:job:{ids[0]}")
    child = post(client, batch, on_failure=word)
    assert read_status(client, child) == "deferred"
    run(records, ids[1], ids[2])
    assert read_status(client, child) == "queued"
    redis.delete(f"rq:job:{ids[1]}", f"rq:job:{ids[2]}")
    assert read_status(client, post(client, batch, on_failure=word)) == "queued"
    redis.hset(f"errand:batch:{batch}", ids[1], "failed")
    late = client.get(f"/v1/jobs/{post(client, batch, on_failure=word)}").json()
    assert (late["status"], bool(late["error"])) == (("queued", False) if word == "run" else ("canceled", True))


def test_it_waits_for_batches_and_jobs_together(client: TestClient, records: Records) -> None:
    batch, ids = post_batch(client, 2)
    alone = post(client)
    child = post(client, alone, batch)
    job = client.get(f"/v1/jobs/{child}").json()
    assert job["depends_on"] == [alone, batch]
    assert client.get(f"/v1/jobs/{alone}").json()["dependents"] == [{"id": child, "status": "deferred"}]
    run(records, *ids)
    assert read_status(client, child) == "deferred"
    run(records, alone)
    assert read_status(client, child) == "queued"


def test_a_batch_waits_for_a_batch(client: TestClient, records: Records) -> None:
    first, ids = post_batch(client, 3)
    second, children = post_batch(client, 3, f"?after={first}")
    last = post(client, second)
    run(records, *ids)
    assert [read_status(client, id) for id in (*children, last)] == ["queued"] * 3 + ["deferred"]
    run(records, *children)
    assert read_status(client, last) == "queued"


def test_a_canceled_job_of_the_batch_cancels_what_waits_all_the_way_down(client: TestClient) -> None:
    batch, ids = post_batch(client, 3)
    middle, below = post_batch(client, 2, f"?after={batch}")
    last = post(client, middle, on_failure="run")
    client.post(f"/v1/jobs/{ids[2]}/cancel")
    assert [read_status(client, id) for id in (ids[0], *below, last)] == ["queued", "canceled", "canceled", "queued"]


def test_one_that_was_canceled_is_requeued_after_the_job_that_failed(client: TestClient, records: Records) -> None:
    batch, ids = post_batch(client, 2)
    child = post(client, batch)
    run(records, ids[0], kind="permanent")
    refused = client.post(f"/v1/jobs/{child}/requeue")
    assert (refused.status_code, ids[0] in refused.json()["detail"]) == (409, True)
    client.post(f"/v1/jobs/{ids[0]}/requeue")
    assert client.post(f"/v1/jobs/{child}/requeue").json()["status"] == "deferred"
    run(records, *ids)
    assert read_status(client, child) == "queued"


def test_nothing_is_left_of_one_that_is_deleted(client: TestClient, redis: Redis) -> None:
    batch, _ = post_batch(client, 3)
    child = post(client, batch)
    assert client.delete(f"/v1/jobs/{child}").status_code == 204
    assert redis.keys("*depend*") == []


def test_why_shows_how_far_the_batch_is(client: TestClient, records: Records) -> None:
    batch, ids = post_batch(client, 3)
    alone = post(client)
    child = post(client, batch, alone)
    run(records, ids[0])
    why = client.get(f"/v1/jobs/{child}/why").json()
    assert why["verdict"] == "waits_for_jobs"
    assert why["batches"] == [{"id": batch, "total": 3, "ended": 1}]
    assert why["jobs"] == [{"id": alone, "status": "queued"}]
    assert why["reason"] == f"it waits for batch {batch} (1 of 3 jobs have ended) and {alone} (queued)"


def test_a_batch_counts_as_its_jobs_where_there_are_too_many(client: TestClient, redis: Redis) -> None:
    batches = [post_batch(client, 100)[0] for _ in range(2)]
    query = "&".join(f"after={batch}" for batch in batches)
    answer = client.post(f"/v1/batches/tally?{query}", json={"items": [{"number": 1}] * 26})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "after")
    assert "5,200, all together; 5,000 at most" in answer.json()["errors"][0]["detail"]
    assert redis.zcard("rq:deferred:default") == 0
    post_batch(client, 25, f"?{query}")


def test_so_many_may_wait_for_a_batch(client: TestClient, redis: Redis) -> None:
    batch, _ = post_batch(client, 2)
    redis.sadd(f"errand:dependents:{batch}", *range(4999))
    post(client, batch)
    answer = client.post(f"/v1/jobs/tally?after={batch}", json={"number": 1})
    detail = f"batch {batch} has 5,000 dependents, the most there may be"
    assert answer.json()["errors"] == [{"parameter": "after", "detail": detail}]


def test_what_is_neither_a_job_nor_a_batch_is_refused(client: TestClient) -> None:
    client.put("/v1/schedules/s", json={"type": "tally", "payload": {"number": 1}, "every_seconds": 3600})
    job = client.post("/v1/schedules/s/run").json()["id"]
    schedule = client.get(f"/v1/jobs/{job}").json()["links"]["batch"].rpartition("/")[2]
    for id in ("5f0c7d1e-0000-4000-8000-000000000000", schedule):
        answer = client.post(f"/v1/jobs/tally?after={id}", json={"number": 1})
        detail = f"there is no job or batch {id}; it may have expired"
        assert (answer.status_code, answer.json()["errors"]) == (422, [{"parameter": "after", "detail": detail}])


def test_other_options_go_with_it(client: TestClient, records: Records) -> None:
    batch, ids = post_batch(client, 2)
    unique = [post(client, batch, more="&unique_key=sum") for _ in range(2)]
    headers = {"Idempotency-Key": "sum"}
    keyed = [client.post(f"/v1/jobs/tally?after={batch}", json={"number": 1}, headers=headers) for _ in range(2)]
    limited = post(client, batch, more="&concurrency_key=k&concurrency=1&expires_in_seconds=600&tag=t")
    assert unique[0] == unique[1]
    assert keyed[0].json()["id"] == keyed[1].json()["id"]
    run(records, *ids)
    children = (unique[0], keyed[0].json()["id"], limited)
    assert [read_status(client, id) for id in children] == ["queued"] * 3


def test_orphans_of_a_batch_are_settled_some_at_a_time(client: TestClient, redis: Redis, records: Records) -> None:
    batch, ids = post_batch(client, 1000)
    children = [post(client, batch, on_failure="run") for _ in range(7)]
    pipeline = redis.pipeline()
    for id in ids:
        pipeline.hset(f"rq:job:{id}", "status", "failed")
    pipeline.execute()
    assert records.settle_orphans("default", 0, 200) == (5, 5)
    assert records.settle_orphans("default", 0, 200) == (2, 2)
    assert records.settle_orphans("default", 0, 200) == (0, 0)
    assert {read_status(client, id) for id in children} == {"queued"}
