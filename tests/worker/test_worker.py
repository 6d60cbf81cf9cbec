"""Errand's worker as a real `rq worker` process."""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.support.services import Services
from tests.support.waiting import wait_until


@pytest.mark.quick
def test_a_posted_job_runs_and_its_result_is_in_its_status(services: Services) -> None:
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("echo", {"value": {"a": [1, None, "ü"]}}))
    assert (job["status"], job["result"]) == ("finished", {"a": [1, None, "ü"]})
    assert (job["attempts"], job["error"], job["progress"]["percent"]) == (1, None, 100)


def test_progress_moves_while_a_job_runs(services: Services) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("sleep", {"seconds": 2})
    seen = set()

    def ended() -> bool:
        job = services.read(id)
        seen.add(job["progress"]["percent"])
        return job["status"] == "finished"

    wait_until(ended)
    assert len(seen - {None, 100}) >= 3
    assert services.read(id)["progress"]["message"] == "step 10"


def test_a_failed_attempt_is_retried_with_its_error_shown(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "succeed_at": 2})
    waiting = services.wait_for(id, "scheduled")
    assert waiting["error"] == {"type": "ValueError", "message": "attempt 1 failed"}
    assert (waiting["progress"]["percent"], waiting["retries_left"]) == (50, 1)
    job = services.wait_for(id)
    assert (job["status"], job["result"], job["attempts"], job["error"]) == ("finished", 2, 2, None)


def test_a_job_fails_when_its_tries_are_spent(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("fail", {"ledger": str(tmp_path / "ledger")}))
    assert (job["status"], job["attempts"], job["retries_left"]) == ("failed", 3, 0)
    assert job["error"] == {"type": "ValueError", "message": "attempt 3 failed"}
    assert job["progress"]["percent"] == 50


@pytest.mark.quick
def test_a_permanent_error_spends_no_retries(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    job = services.wait_for(services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True}))
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"] == {"type": "PermanentError", "message": "no use"}


def test_a_result_over_64_kib_fails_the_job_clearly(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("echo", {"size": 70_000})
    job = services.wait_for(id)
    assert (job["status"], job["result"], job["attempts"]) == ("failed", None, 1)
    assert "70,002 bytes" in job["error"]["message"]
    assert redis.memory_usage(f"rq:results:{id}") < 20_000


def test_a_killed_attempt_is_retried(services: Services, tmp_path: Path) -> None:
    services.start_api()
    worker = services.start_worker()
    id = services.post("sleep", {"seconds": 3})
    services.wait_for(id, "started")
    wait_until(lambda: services.read(id)["progress"]["done"])
    (horse,) = find_children(worker.pid)
    os.kill(horse, signal.SIGKILL)
    job = services.wait_for(id, timeout_seconds=30)
    assert (job["status"], job["attempts"]) == ("finished", 2)


def test_a_delayed_job_runs_when_it_is_due_and_not_before(services: Services) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("echo", {"value": 1}, "?delay_seconds=1.5")
    due = datetime.fromisoformat(services.read(id)["run_at"])
    assert datetime.fromisoformat(services.wait_for(id)["started_at"]) >= due


@pytest.mark.quick
def test_it_ends_cleanly_on_sigterm_when_idle(services: Services) -> None:
    worker = services.start_worker()
    wait_until(lambda: "Listening" in services.read_log(worker))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0


@pytest.mark.quick
def test_its_process_never_loads_fastapi(services: Services) -> None:
    process = services.run(sys.executable, "-c", "import worker, sys; sys.exit('fastapi' in sys.modules)")
    assert process.wait(20) == 0


def find_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
