"""Schedules served by real workers: one job a slot, whatever happens to the workers."""

import os
import shutil
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.support.services import Services
from tests.support.waiting import wait_until

RUNS = "/v1/schedules/tick"


def put(services: Services, ledger: Path, **changes: Any) -> None:
    body = {"type": "ledger", "payload": {"ledger": str(ledger)}, "every_seconds": 1, **changes}
    answer = services.call("PUT", RUNS, body)
    assert answer.status == 201, answer


def read_runs(services: Services) -> list[dict[str, Any]]:
    """Return the runs, oldest first."""
    runs: list[dict[str, Any]] = services.call("GET", RUNS).body["runs"]
    return runs[::-1]


def wait_for_runs(services: Services, count: int, timeout_seconds: float = 30) -> list[dict[str, Any]]:
    """Return the runs once there are so many that have finished."""

    def finished() -> list[dict[str, Any]]:
        return [run for run in read_runs(services) if run["status"] == "finished"]

    wait_until(lambda: len(finished()) >= count, timeout_seconds)
    return read_runs(services)


def list_starts(ledger: Path) -> list[str]:
    """Return the ids of the jobs that really started."""
    return [line.split()[1] for line in ledger.read_text().splitlines() if line.startswith("start")]


def to_second(slot: str) -> int:
    return int(datetime.fromisoformat(slot).timestamp())


def check_slots(runs: list[dict[str, Any]]) -> None:
    """No slot is left out, none is there twice, and each has its own job."""
    slots = [to_second(run["slot"]) for run in runs]
    assert slots == list(range(slots[0], slots[0] + len(slots)))
    assert len({run["job_id"] for run in runs}) == len(runs)


def test_two_workers_give_each_slot_one_job(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    services.start_worker()
    put(services, tmp_path / "ledger")
    runs = wait_for_runs(services, 6)
    services.call("POST", f"{RUNS}/pause")
    check_slots(runs)
    ended = [run["job_id"] for run in runs if run["status"] == "finished"]
    starts = list_starts(tmp_path / "ledger")
    assert len(starts) == len(set(starts))
    assert set(ended) <= set(starts)


def test_a_job_is_there_within_two_seconds_of_its_slot(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    put(services, tmp_path / "ledger")
    for run in wait_for_runs(services, 3):
        assert 0 <= to_second(run["at"]) - to_second(run["slot"]) <= 2


def test_killed_workers_leave_no_slot_out_and_give_none_twice(services: Services, tmp_path: Path) -> None:
    services.start_api()
    workers = [services.start_worker() for _ in range(2)]
    put(services, tmp_path / "ledger", catch_up="all")
    for _ in range(3):
        wait_for_runs(services, 1)
        time.sleep(1)
        os.killpg(workers.pop(0).pid, signal.SIGKILL)
        workers.append(services.start_worker())
    count = len(read_runs(services))
    wait_until(lambda: len(read_runs(services)) >= count + 2, 30)
    check_slots(read_runs(services))


def test_hundreds_that_are_due_in_one_second_all_run_and_none_is_missed(
    services: Services, tmp_path: Path, redis: Redis
) -> None:
    services.start_api()
    names = [f"tick-{number}" for number in range(300)]
    body = {
        "type": "ledger",
        "payload": {"ledger": str(tmp_path / "ledger")},
        "cron": "0 0 1 1 *",
        "catch_up": "none",
    }
    for name in names:
        assert services.call("PUT", f"/v1/schedules/{name}", body).status == 201
    redis.zadd("errand:schedules", dict.fromkeys(names, "+inf"))
    for _ in range(2):
        services.start_worker()
    wait_until(lambda: redis.scard("rq:workers") == 2)
    slot = int(time.time()) + 1
    redis.zadd("errand:schedules", dict.fromkeys(names, slot))
    wait_until(lambda: redis.zcard("rq:finished:default") == len(names), 60)
    runs = [services.call("GET", f"/v1/schedules/{name}").body["runs"] for name in names[::10]]
    assert {(run["status"], to_second(run["slot"])) for (run,) in runs} == {("finished", slot)}
    starts = list_starts(tmp_path / "ledger")
    assert (len(starts), len(set(starts))) == (len(names), len(names))


@pytest.mark.quick
def test_slots_that_nobody_was_there_for_are_caught_up_by_the_last(
    services: Services, tmp_path: Path, redis: Redis
) -> None:
    services.start_api()
    put(services, tmp_path / "ledger", every_seconds=86400)
    today = int(time.time()) // 86400 * 86400
    redis.zadd("errand:schedules", {"tick": today - 5 * 86400})
    services.start_worker()
    runs = wait_for_runs(services, 1)
    assert [run["status"] for run in runs] == ["missed", "finished"]
    assert (to_second(runs[0]["slot"]), to_second(runs[1]["slot"])) == (today - 5 * 86400, today)


def test_no_two_slots_jobs_run_at_the_same_time(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    put(services, tmp_path / "ledger", payload={"ledger": str(tmp_path / "ledger"), "seconds": 1.5})
    wait_for_runs(services, 3)
    services.call("POST", f"{RUNS}/pause")
    words = [line.split()[0] for line in (tmp_path / "ledger").read_text().splitlines()]
    assert words[:6] == ["start", "end"] * 3


def test_a_failed_run_holds_the_next_one_not_up(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    put(
        services, tmp_path / "ledger", payload={"ledger": str(tmp_path / "ledger"), "seconds": 1.2, "then": "permanent"}
    )
    wait_until(lambda: [run["status"] for run in read_runs(services)].count("failed") >= 3, 30)
    services.call("POST", f"{RUNS}/pause")


def test_a_stopped_run_holds_the_next_one_not_up(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    put(services, tmp_path / "ledger", payload={"ledger": str(tmp_path / "ledger"), "seconds": 20})
    wait_until(lambda: [run["status"] for run in read_runs(services)][:2] == ["started", "deferred"])
    services.call("POST", f"{RUNS}/pause")
    first, second = [run["job_id"] for run in read_runs(services)][:2]
    assert services.call("POST", f"/v1/jobs/{first}/cancel").status == 200
    services.wait_for(first, "stopped")
    services.wait_for(second, "started")


def test_skip_leaves_slots_out_while_a_job_runs(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    put(services, tmp_path / "ledger", payload={"ledger": str(tmp_path / "ledger"), "seconds": 2.5}, overlap="skip")
    runs = wait_for_runs(services, 2)
    services.call("POST", f"{RUNS}/pause")
    assert {"skipped", "finished"} <= {run["status"] for run in runs}
    assert len(list_starts(tmp_path / "ledger")) <= len(runs) / 2 + 1


def test_a_run_keeps_its_status_when_its_job_has_expired(services: Services, tmp_path: Path) -> None:
    services.start_api(JOB_RESULT_TTL_SECONDS="1")
    services.start_worker(JOB_RESULT_TTL_SECONDS="1")
    put(services, tmp_path / "ledger")
    first = wait_for_runs(services, 1)[0]["job_id"]
    wait_until(lambda: services.call("GET", f"/v1/jobs/{first}").status == 404)
    assert next(run for run in read_runs(services) if run["job_id"] == first)["status"] == "finished"


def test_a_job_files_cron_is_shown_with_its_source_and_goes_with_its_line(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(services.project, folder)
    services.project = folder
    text = '"""Greet."""\n\nfrom jobs import job\n\n\n@job({})\ndef run(name: str = "Ada") -> str:\n    return name\n'
    file = folder / "jobs/greet.py"
    file.write_text(text.format('cron="0 7 * * *", timezone="Europe/Paris"'))
    services.start_api()
    worker = services.start_worker()
    path = "/v1/schedules/jobs.greet"
    wait_until(lambda: services.call("GET", path).status == 200)
    shown = services.call("GET", path).body
    assert (shown["source"], shown["cron"], shown["timezone"]) == ("file", "0 7 * * *", "Europe/Paris")
    assert (shown["type"], shown["payload"], len(shown["next_runs"])) == ("greet", {}, 5)
    assert services.call("DELETE", path).status == 409
    assert services.call("POST", f"{path}/pause").body["paused"]
    job = services.call("POST", f"{path}/run").body
    assert services.wait_for(job["id"])["result"] == "Ada"
    worker.terminate()
    worker.wait()
    file.write_text(text.format(""))
    services.start_worker()
    wait_until(lambda: services.call("GET", path).status == 404)


@pytest.mark.quick
def test_a_flushed_server_gets_the_job_files_schedules_again(services: Services, tmp_path: Path, redis: Redis) -> None:
    folder = tmp_path / "project"
    shutil.copytree(services.project, folder)
    services.project = folder
    file = folder / "jobs/greet.py"
    file.write_text('"""Greet."""\n\nfrom jobs import job\n\n\n@job(cron="@daily")\ndef run() -> None: ...\n')
    services.start_worker()
    wait_until(lambda: redis.zcard("errand:schedules"))
    redis.flushall()
    wait_until(lambda: redis.zcard("errand:schedules"))
