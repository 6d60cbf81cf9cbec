"""RQ's own commands, sent to our worker by RQ's own code."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.command import send_shutdown_command, send_stop_execution_command, send_stop_job_command
from rq.registry import StartedJobRegistry
from rq.suspension import resume, suspend
from rq.worker import Worker

from tests.support.services import Services
from tests.support.waiting import wait_until


def start_long_job(services: Services, type: str, ledger: Path) -> str:
    services.start_api()
    services.start_worker()
    id = services.post(type, {"ledger": str(ledger), "seconds": 30})
    services.wait_for(id, "started")
    wait_until(ledger.exists)
    return id


def assert_stopped(job: dict[str, Any]) -> None:
    assert (job["status"], job["attempts"], job["retries_left"]) == ("stopped", 1, 2)
    assert job["error"] == {"type": "JobStopped", "message": "it was stopped on request"}


@pytest.mark.quick("alone")
@pytest.mark.parametrize("type", ["ledger", "alone"])
def test_stop_job_ends_a_job_in_a_thread_and_in_a_process(
    services: Services, redis: Redis, tmp_path: Path, type: str
) -> None:
    id = start_long_job(services, type, tmp_path / "ledger")
    send_stop_job_command(redis, id, serializer="json")
    assert_stopped(services.wait_for(id, timeout_seconds=5))
    assert redis.zscore("rq:failed:default", id)


def test_stop_execution_names_one_of_them(services: Services, redis: Redis, tmp_path: Path) -> None:
    id = start_long_job(services, "ledger", tmp_path / "ledger")
    ((_, execution),) = StartedJobRegistry("default", redis).get_job_and_execution_ids(cleanup=False)
    send_stop_execution_command(redis, id, execution)
    assert_stopped(services.wait_for(id, timeout_seconds=5))


def test_a_stopped_jobs_neighbours_run_on(services: Services, redis: Redis, tmp_path: Path) -> None:
    id = start_long_job(services, "ledger", tmp_path / "ledger")
    neighbour = services.post("sleep", {"seconds": 2})
    services.wait_for(neighbour, "started")
    send_stop_job_command(redis, id, serializer="json")
    services.wait_for(id, timeout_seconds=5)
    assert services.wait_for(neighbour)["attempts"] == 1


@pytest.mark.quick
def test_shutdown_ends_the_worker(services: Services, redis: Redis) -> None:
    process = services.start_worker()
    (worker,) = wait_until(lambda: Worker.all(connection=redis))
    wait_until(lambda: redis.pubsub_numsub(f"rq:pubsub:{worker.name}")[0][1])
    send_shutdown_command(redis, worker.name)
    assert process.wait(10) == 0
    assert Worker.all(connection=redis) == []


def test_suspended_workers_take_nothing_until_they_are_resumed(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    services.wait_for(services.post("echo"))
    suspend(redis)
    id = services.post("echo")
    with pytest.raises(AssertionError):
        wait_until(lambda: services.read(id)["status"] != "queued", 1.5)
    resume(redis)
    assert services.wait_for(id)["status"] == "finished"


def test_a_message_that_is_no_command_changes_nothing(services: Services, redis: Redis) -> None:
    services.start_api()
    services.start_worker()
    (worker,) = wait_until(lambda: Worker.all(connection=redis))
    channel = f"rq:pubsub:{worker.name}"
    wait_until(lambda: redis.pubsub_numsub(channel)[0][1])
    for message in (b"\xff", b"[]", b"{}", b'{"command": "dance"}', b'{"command": "stop-job"}'):
        redis.publish(channel, message)
    assert services.wait_for(services.post("echo", {"value": 1}))["result"] == 1


def test_rq_info_shows_what_it_does(services: Services, redis: Redis, tmp_path: Path) -> None:
    id = start_long_job(services, "ledger", tmp_path / "ledger")
    (worker,) = Worker.all(connection=redis, serializer="json")
    assert (worker.get_state(), worker.get_current_job_id()) == ("busy", id)
    info = subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--url", services.environment["REDIS_URL"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{worker.name} " in info
    assert services.read(id)["status"] == "started"


@pytest.mark.slow
def test_a_runner_that_does_not_go_round_is_replaced(services: Services) -> None:
    services.start_api()
    worker = services.start_worker()
    services.wait_for(services.post("echo"))
    (runner,) = [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]
    os.kill(runner, signal.SIGSTOP)
    job = services.wait_for(services.post("echo", {"value": 1}), timeout_seconds=40)
    assert (job["status"], job["attempts"]) == ("finished", 1)
