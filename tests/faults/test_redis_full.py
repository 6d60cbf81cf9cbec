"""A Redis without room (`noeviction`): what ends is still recorded, so that it empties."""

import pytest
from redis import Redis, ResponseError
from rq import Queue
from rq.repeat import Repeat

from tests.support.servers import Server
from tests.support.site import Site
from tests.support.waiting import wait_until


def fill(redis: Redis) -> None:
    """Leave the server no room at all: it refuses every command that might need some."""
    redis.config_set("maxmemory", 1)
    with pytest.raises(ResponseError, match="maxmemory"):
        redis.set("anything", "x")


def test_successes_failures_and_retries_are_still_recorded(own_site: Site) -> None:
    worker = own_site.start_ready_worker(WORKER_THREADS="2")
    held = [own_site.post_noted(seconds=1) for _ in range(2)]
    for job in held:
        own_site.ledger.wait_for_start(job)
    finishing = [own_site.post_noted(type) for type in ("ledger", "alone")]
    failing = own_site.post_noted(then="permanent")
    retried = own_site.post_noted("brief", then="fail")
    lost = own_site.post_noted("alone", then="kill")
    fill(own_site.redis)
    for job in (*held, *finishing):
        assert own_site.wait_for(job)["status"] == "finished"
        assert own_site.ledger.count(job) == (1, 1)
    assert own_site.wait_for(failing)["error"]["message"] == "told to fail for good"
    found = own_site.wait_for(retried)
    assert (found["status"], found["attempts"], found["error"]["message"]) == ("failed", 2, "told to fail")
    assert own_site.ledger.count(retried) == (2, 0)
    assert own_site.wait_for(lost)["error"]["type"] == "Lost"
    assert worker.poll() is None
    own_site.assert_nothing_is_left()


@pytest.mark.slow
def test_a_chain_goes_on(own_site: Site, sink: object) -> None:
    own_site.start_ready_worker(WORKER_THREADS="1")
    own_site.ledger.wait_for_start(own_site.post_noted(seconds=1))
    ids = own_site.call("POST", "/send-notification/ada@example.com?message=Hello").body["jobs"]
    fill(own_site.redis)
    assert [own_site.wait_for(id)["status"] for id in ids] == ["finished", "finished"]
    assert len(sink.mails) == 1  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_rarer_case_stays_leased_until_there_is_room(own_site: Site) -> None:
    queue = Queue("default", connection=own_site.redis, serializer="json")
    own_site.start_ready_worker(WORKER_THREADS="1", WORKER_LEASE_SECONDS="2")
    own_site.ledger.wait_for_start(own_site.post_noted(seconds=1))
    kwargs = {"ledger": str(own_site.ledger.path)}
    repeated = queue.enqueue("jobs.ledger.run.perform", kwargs=kwargs, repeat=Repeat(times=1, interval=1)).id
    behind = own_site.post_noted()
    fill(own_site.redis)
    assert own_site.wait_for(behind)["status"] == "finished"
    assert own_site.ledger.count(repeated) == (1, 1)
    with pytest.raises(AssertionError):  # longer than its lease, which is renewed
        own_site.ledger.wait_for_start(repeated, 2, timeout_seconds=3)
    assert own_site.read(repeated)["status"] == "started"
    assert own_site.redis.zcard("errand:leases") == 1
    own_site.redis.config_set("maxmemory", 0)
    own_site.ledger.wait_for_end(repeated, 2)
    wait_until(lambda: own_site.read(repeated)["status"] == "finished")
    assert own_site.ledger.count(repeated) == (2, 2)


@pytest.mark.slow
def test_a_worker_stops_and_starts_without_room(own_site: Site) -> None:
    worker = own_site.start_ready_worker(WORKER_GRACE_SECONDS="0.5")
    job = own_site.post_noted(seconds=2)
    own_site.ledger.wait_for_start(job)
    fill(own_site.redis)
    assert own_site.end(worker, 8) == 0
    assert own_site.list_queued() == [job]
    other = own_site.start_worker()
    wait_until(lambda: own_site.read_log(other))
    own_site.redis.config_set("maxmemory", 0)
    assert own_site.wait_for(job)["status"] == "finished"


@pytest.mark.quick
def test_the_api_takes_nothing_from_80_percent_on(own_site: Site, server: Server) -> None:
    def set_share(percent: int) -> None:
        used = own_site.redis.info("memory")["used_memory"]
        own_site.redis.config_set("maxmemory", used * 100 // percent)

    set_share(70)
    job = own_site.post_noted()
    set_share(90)
    wait_until(lambda: own_site.call("GET", "/readyz").status == 503, 5)
    answer = own_site.call("POST", "/v1/jobs/ledger", {"ledger": "x"})
    assert (answer.status, answer.body["type"]) == (503, "urn:problem-type:errand:redis-full")
    assert own_site.list_queued() == [job]
    own_site.start_ready_worker()
    assert own_site.wait_for(job)["status"] == "finished"
    set_share(50)
    wait_until(lambda: own_site.call("GET", "/readyz").status == 200, 5)
    own_site.post_noted()
