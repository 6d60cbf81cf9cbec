"""Jobs that fork: what they start ends as it should, and only the job's own process records its end."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import CHILD, RUNNER, find_by_name, find_runner, is_alive
from tests.support.site import Site
from tests.support.waiting import wait_until

TYPES = ["forker", "forker_alone"]
STARTED = {
    "pool": [4, 3, 2, 1],
    "executor": [4, 3, 2, 1],
    "process": 0,
    "terminate": -15,
    "sigterm": -15,
    "sigint": 1,  # a KeyboardInterrupt, as everywhere in Python
    "sigalrm": -14,
    "subprocess": 7,
    "spawn": -15,
}


def run_all(site: Site, type: str, ways: Any, **payload: Any) -> dict[str, Any]:
    """Run a job for each of the ways at once; return their ends."""
    ids = {way: site.post(type, {"how": way, **payload}) for way in ways}
    return {way: site.wait_for(id) for way, id in ids.items()}


@pytest.mark.parametrize("type", TYPES)
def test_multiprocessing_works_and_what_it_starts_obeys_signals(site: Site, type: str) -> None:
    worker = site.start_ready_worker()
    runner = find_runner(worker.pid)
    ends = run_all(site, type, STARTED)
    assert {way: (end["status"], end["result"]) for way, end in ends.items()} == {
        way: ("finished", result) for way, result in STARTED.items()
    }
    assert find_runner(worker.pid) == runner


@pytest.mark.parametrize("type", TYPES)
def test_a_forked_process_has_none_of_our_pipes_and_connections(site: Site, type: str) -> None:
    site.start_ready_worker()
    end = site.wait_for(site.post(type, {"how": "inherited"}))
    assert (end["status"], end["result"]) == ("finished", [])


@pytest.mark.parametrize("type", TYPES)
def test_a_forked_process_that_comes_out_of_the_job_does_not_record_its_end(site: Site, type: str) -> None:
    worker = site.start_ready_worker()
    ends = run_all(site, type, ["return", "raise", "exit", "exit with text"])
    assert {way: (end["status"], end["result"], end["attempts"]) for way, end in ends.items()} == {
        "return": ("finished", 0, 1),
        "raise": ("finished", 1, 1),
        "exit": ("finished", 3, 1),
        "exit with text": ("finished", 1, 1),
    }
    assert {end["progress"]["message"] for end in ends.values()} == {""}
    wait_until(lambda: find_by_name(worker.pid, CHILD) == [])
    assert len(find_by_name(worker.pid, RUNNER)) == 1
    assert site.read_log(worker).count("half a line") == 4
    site.assert_nothing_is_left()


@pytest.mark.parametrize(("is_to_wait", "code"), [(False, 5), (True, 1)])
def test_a_process_forked_in_a_coroutine_does_not_go_on_with_the_loop(
    site: Site, tmp_path: Path, is_to_wait: bool, code: int
) -> None:
    worker = site.start_ready_worker()
    written = tmp_path / "written"
    neighbours = [site.post("forker_async", {"ledger": str(written)}) for _ in range(3)]
    wait_until(written.exists)
    forkers = [site.post("forker_async", {"is_to_wait": is_to_wait}) for _ in range(5)]
    for job in forkers:
        end = site.wait_for(job)
        assert (end["status"], end["result"]) == ("finished", code)
    for job in neighbours:
        assert site.wait_for(job)["result"] == find_runner(worker.pid)
    assert set(written.read_text().splitlines()) == {str(find_runner(worker.pid))}
    assert len(find_by_name(worker.pid, RUNNER)) == 1


def test_an_isolated_jobs_threads_and_atexit_callbacks_run_after_its_end(site: Site, tmp_path: Path) -> None:
    worker = site.start_ready_worker()
    written = tmp_path / "written"
    assert site.wait_for(site.post("forker_alone", {"how": "register", "ledger": str(written)}))["result"]
    wait_until(lambda: find_by_name(worker.pid, CHILD) == [])
    assert written.read_text() == "thread\natexit\n"


def test_an_isolated_process_that_does_not_end_after_its_job_is_killed_after_the_grace(site: Site) -> None:
    worker = site.start_ready_worker(WORKER_GRACE_SECONDS="1")
    end = site.wait_for(site.post("forker_alone", {"how": "hang"}))
    pid = int(end["result"])
    assert (end["status"], is_alive(pid)) == ("finished", True)
    wait_until(lambda: not is_alive(pid), timeout_seconds=3)
    wait_until(lambda: "did not end after its job, and was killed" in site.read_log(worker))
    assert site.wait_for(site.post("forker_alone", {"how": "subprocess"}))["status"] == "finished"


def test_an_isolated_job_that_closes_its_streams_ends_its_own_process_alone(site: Site) -> None:
    worker = site.start_ready_worker()
    assert site.wait_for(site.post("forker_alone", {"how": "close"}))["status"] == "finished"
    wait_until(lambda: find_by_name(worker.pid, CHILD) == [])
    assert site.redis.scard("rq:workers") == 1  # it has not come out into the supervisor's code, and ended that
    assert site.wait_for(site.post("forker_alone", {"how": "subprocess"}))["status"] == "finished"
