"""A plain `rq worker`, which knows nothing of Errand, drains the same jobs."""

import pytest
from redis import Redis
from rq.job import Job

from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until


@pytest.mark.quick
def test_it_runs_jobs_with_progress_and_results(services: Services) -> None:
    services.start_api()
    services.start_plain_worker()
    id = services.post("sleep", {"seconds": 1})
    wait_until(lambda: 0 < (services.read(id)["progress"]["percent"] or 0) < 100)
    job = services.wait_for(id)
    assert (job["status"], job["result"], job["attempts"]) == ("finished", "slept", 1)


def test_it_drains_the_demos_jobs(services: Services, sink: ScriptedSink) -> None:
    services.start_api()
    ids = services.call("POST", "/send-notification/ada@example.com?message=Hello").body["jobs"]
    items = [{"to": f"r{number}@example.com", "subject": "x", "text": "x"} for number in range(10)]
    batch = services.call("POST", "/v1/batches/email", {"items": items}).body["links"]["self"]
    services.start_plain_worker("--burst")
    wait_until(lambda: services.call("GET", batch).body["percent"] == 100)
    assert services.wait_for(ids[1])["status"] == "finished"
    assert services.call("GET", batch).body["finished"] == 10
    assert len(sink.mails) == 11


def test_a_job_may_enqueue_another_over_its_own_connection(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_plain_worker()
    item = services.wait_for(services.call("POST", "/items/7/process").body["jobs"][0])
    assert item["status"] == "finished"
    wait_until(lambda: redis.zcard("rq:finished:log"))
    (id,) = redis.zrange("rq:finished:log", 0, -1)
    job = Job.fetch(id.decode(), connection=redis, serializer="json")
    assert job.kwargs == {"text": "Finished processing item 7"}
    assert (job.result_ttl, job.failure_ttl) == (24 * 3600, 30 * 24 * 3600)


def test_with_its_scheduler_it_runs_delayed_jobs(services: Services) -> None:
    services.start_api()
    services.start_plain_worker("--with-scheduler")
    assert services.wait_for(services.post("echo", {"value": 1}, "?delay_seconds=1"))["result"] == 1
