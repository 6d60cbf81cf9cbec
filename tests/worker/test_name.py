"""Two workers that were given one name, at once or one after the other."""

import os
import signal
from pathlib import Path

from redis import Redis

from errand.local.child_process import kill_session
from tests.support.services import Services
from tests.support.waiting import wait_until

OPTIONS = ("--name", "a")
SOON = {"WORKER_LEASE_SECONDS": "2"}


def test_one_that_is_refused_its_name_takes_nothing_from_who_has_it(
    services: Services, redis: Redis, tmp_path: Path
) -> None:
    services.start_api()
    services.start_worker(*OPTIONS, **SOON)
    id = services.post("ledger", {"ledger": str(tmp_path / "ledger"), "seconds": 6})
    services.wait_for(id, "started")
    refused = services.start_worker(*OPTIONS, **SOON)
    assert refused.wait(20) != 0
    assert redis.smembers("rq:worker:a:executions")
    assert services.wait_for(id)["attempts"] == 1


def test_one_that_takes_over_a_dead_ones_name_recovers_its_jobs(services: Services, redis: Redis) -> None:
    services.start_api()
    dead = services.start_worker(*OPTIONS, **SOON)
    id = services.post("sleep", {"seconds": 2})
    services.wait_for(id, "started")
    os.killpg(dead.pid, signal.SIGKILL)
    kill_session(dead.pid)
    dead.wait()
    redis.delete("rq:worker:a")  # as it is after 8 minutes; RQ refuses the name until then
    services.start_worker(*OPTIONS, **SOON)
    wait_until(lambda: services.read(id)["attempts"] == 2, 8)
