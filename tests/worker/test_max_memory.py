"""A runner that has more memory than it may is replaced between jobs, and no job pays for it."""

import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from errand.worker.processes import memory
from errand.worker.processes.memory import MemoryWatch, measure_mb
from tests.support.services import Services
from tests.support.waiting import wait_until

MANY = 16


def post_all(services: Services, count: int, **payload: Any) -> list[str]:
    answer = services.call("POST", "/v1/batches/leak", {"items": [payload] * count})
    assert answer.status == 202, answer
    return [job["id"] for job in answer.body["jobs"]]


def wait_for_all(services: Services, ids: list[str]) -> list[dict[str, Any]]:
    jobs = [services.wait_for(id) for id in ids]
    assert {(job["status"], job["attempts"], job["interruptions"], job["losses"]) for job in jobs} == {
        ("finished", 1, 0, 0)
    }
    return jobs


@pytest.mark.quick
def test_jobs_that_leak_are_run_by_one_runner_after_the_other(services: Services) -> None:
    services.start_api()
    worker = services.start_worker(WORKER_MAX_MB="250", WORKER_THREADS="2")
    jobs = wait_for_all(services, post_all(services, MANY, megabytes=25))
    pids = list(dict.fromkeys(job["result"] for job in jobs))
    assert 1 < len(pids) < MANY / 2
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids[:-1]))
    said = services.read_log(worker)
    assert said.count("MB, more than WORKER_MAX_MB=250: it takes no more jobs") in (len(pids) - 1, len(pids))
    assert "died" not in said


def test_without_the_setting_one_runner_runs_them_all(services: Services) -> None:
    services.start_api()
    services.start_worker()
    jobs = wait_for_all(services, post_all(services, 20, megabytes=10))
    assert len({job["result"] for job in jobs}) == 1


def test_what_passes_the_limit_itself_goes_on_while_another_runner_takes_jobs(services: Services) -> None:
    services.start_api()
    services.start_worker(WORKER_MAX_MB="250", WORKER_THREADS="2")
    large = services.post("leak", {"megabytes": 400, "seconds": 4})
    services.wait_for(large, "started")
    behind = wait_for_all(services, post_all(services, 3, megabytes=1))
    assert services.read(large)["status"] == "started"
    (job,) = wait_for_all(services, [large])
    assert job["result"] not in {other["result"] for other in behind[1:]}


def test_no_more_jobs_run_at_once_than_there_are_threads(services: Services) -> None:
    services.start_api()
    services.start_worker(WORKER_MAX_MB="250", WORKER_THREADS="2")
    ids = post_all(services, 6, megabytes=200, seconds=0.7)
    spans = []
    for job in wait_for_all(services, ids):
        spans += [(job["started_at"], 1), (job["ended_at"], -1)]
    running, most = 0, 0
    for _, change in sorted(spans):
        running += change
        most = max(most, running)
    assert most == 2


@pytest.mark.parametrize("options", [["--burst"], ["--max-jobs", "20"]])
def test_its_plan_counts_over_all_of_them(services: Services, redis: Redis, options: list[str]) -> None:
    services.start_api()
    ids = post_all(services, 30, megabytes=20)
    worker = services.start_worker(*options, WORKER_MAX_MB="250", WORKER_THREADS="2")
    assert wait_until(lambda: worker.poll() is not None, 30)
    ended = [job for job in map(services.read, ids) if job["status"] == "finished"]
    assert len(ended) == (30 if options == ["--burst"] else 20)
    assert len({job["result"] for job in ended}) > 1
    assert redis.zcard("errand:leases") == 0


def test_a_limit_that_no_runner_could_keep_is_said_and_not_kept(services: Services) -> None:
    services.start_api()
    worker = services.start_worker(WORKER_MAX_MB="5")
    jobs = wait_for_all(services, post_all(services, 5, megabytes=1))
    assert len({job["result"] for job in jobs}) == 1
    assert services.read_log(worker).count("WORKER_MAX_MB=5 is not kept: a runner has ") == 1


def test_a_stop_while_two_runners_are_there_ends_both(services: Services) -> None:
    services.start_api()
    worker = services.start_worker(WORKER_MAX_MB="250", WORKER_THREADS="2", WORKER_GRACE_SECONDS="1")
    large = services.post("leak", {"megabytes": 400, "seconds": 60})
    services.wait_for(large, "started")
    wait_for_all(services, post_all(services, 3))
    worker.terminate()
    assert wait_until(lambda: worker.poll() is not None)
    job = services.read(large)
    assert (job["status"], job["interruptions"], job["losses"]) == ("queued", 1, 0)


def test_the_memory_of_this_process_is_known() -> None:
    before = measure_mb()
    assert before is not None
    kept = b"x" * 50 * memory.MB
    assert 40 < (measure_mb() or 0) - before < 60
    del kept


def test_it_looks_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    now = [100.0]
    monkeypatch.setattr(memory, "measure_mb", lambda: looks.append(1) or 50.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = MemoryWatch(60)
    for _ in range(1000):
        now[0] += memory.LOOK_SECONDS / 100
        assert not watch.look()
    assert len(looks) <= 12


def test_where_memory_cannot_be_measured_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "measure_mb", lambda: None)
    assert not MemoryWatch(1).look()
    assert "WORKER_MAX_MB is not kept" in caplog.text
