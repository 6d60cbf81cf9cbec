"""What jobs work with is down: nobody's fault, and the jobs wait for it."""

from pathlib import Path

from redis import Redis

from tests.support.services import Services
from tests.support.waiting import wait_until


def test_jobs_wait_without_a_try_spent_and_all_who_ask_see_why(services: Services, tmp_path: Path) -> None:
    flag = tmp_path / "up"
    services.start_api()
    worker = services.start_worker()
    ids = [services.post("service", {"flag": str(flag)}) for _ in range(3)]
    wait_until(lambda: all("waiting" in services.read(id) for id in ids))
    job = services.read(ids[0])
    assert (job["status"], job["attempts"], job["retries_left"]) == ("queued", 0, 4)
    assert job["waiting"]["reason"] == "the service is down"
    assert job["error"] == {"type": "ServiceDownError", "message": "the service is down"}
    since = job["waiting"]["since"]
    waiting = {"type": "service", "jobs": 3, "reason": "the service is down", "since": since}
    wait_until(lambda: services.call("GET", "/v1/queues/default").body["waiting"] == [waiting])
    readiness = services.call("GET", "/readyz")
    assert (readiness.status, readiness.body["status"]) == (200, "degraded")
    assert readiness.body["held"] == [{"type": "service", "since": since, "reason": "the service is down"}]
    assert services.wait_for(services.post("echo", {"value": 1}))["status"] == "finished"
    wait_until(lambda: "3 of service wait: the service is down (since " in services.read_log(worker))
    flag.touch()
    assert [(job["status"], job["attempts"]) for job in map(services.wait_for, ids)] == [("finished", 1)] * 3
    assert services.call("GET", "/readyz").body["status"] == "ok"


def test_one_workers_stale_credentials_hold_up_no_other(services: Services, tmp_path: Path, redis: Redis) -> None:
    services.start_api()
    services.start_worker(SERVICE="old password")
    ids = [services.post("service", {"flag": str(tmp_path / "up")}) for _ in range(3)]
    wait_until(lambda: redis.scard("errand:held"))
    (held,) = redis.smembers("errand:held")
    assert b"password" not in held
    services.start_worker(SERVICE="new password")
    (tmp_path / "up").touch()
    assert all(services.wait_for(id)["status"] == "finished" for id in ids)
