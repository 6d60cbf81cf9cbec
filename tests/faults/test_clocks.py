"""Hosts whose clocks are wrong: nobody takes what others run, and what is stored bears Redis' time."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.faketime import fake, fake_by
from tests.support.services import Services
from tests.support.site import Site
from tests.support.waiting import wait_until

NEAR_SECONDS = 30


def is_near(moment: str) -> bool:
    """Return whether a time that Errand shows is of these seconds, by the clock that the server has."""
    return abs(datetime.fromisoformat(moment).timestamp() - time.time()) < NEAR_SECONDS


def look_around(site: Site, clock: dict[str, str]) -> None:
    """Do what cleans RQ's registries, on a host with such a clock: `rq info`, a plain worker, one of ours."""
    url = site.environment["REDIS_URL"]
    rq = [sys.executable, "-m", "rq.cli"]
    for command in (["info", "--url", url], ["worker", "-S", "json", "--burst", "--url", url, "default"]):
        process = site.run(*rq, *command, **clock)
        assert process.wait(30) == 0, site.read_log(process)
    ours = site.start_worker("--burst", **clock)
    assert ours.wait(30) == 0, site.read_log(ours)


def assert_ran_once(site: Site, job: str) -> None:
    found = site.wait_for(job)
    assert (found["status"], site.read_counts(job)) == (
        "finished",
        {"attempts": 1, "interruptions": 0, "losses": 0, "retries_left": 2},
    )
    assert site.ledger.count(job) == (1, 1)
    assert site.count_results(job) == 1
    assert all(is_near(found[name]) for name in ("created_at", "started_at", "ended_at")), found
    assert is_near(found["progress"]["updated_at"])


@pytest.mark.slow
def test_a_clock_two_hours_ahead_takes_nothing_that_runs_elsewhere(site: Site) -> None:
    site.start_ready_worker()
    jobs = [site.post_noted(type, seconds=12) for type in ("ledger", "alone")]
    for job in jobs:
        site.ledger.wait_for_start(job)
    look_around(site, fake("+2h"))
    for job in jobs:
        assert_ran_once(site, job)
    site.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("jump", ["+3h", "-3h"])
def test_a_workers_clock_may_jump_while_its_jobs_run(site: Site, tmp_path: Path, jump: str) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    worker = site.start_ready_worker(**fake_by(clock))
    jobs = [site.post_noted(type, seconds=12) for type in ("ledger", "alone")]
    for job in jobs:
        site.ledger.wait_for_start(job)
    clock.write_text(f"{jump}\n")
    look_around(site, {})
    for job in jobs:
        assert_ran_once(site, job)
    site.assert_nothing_is_left()
    assert site.read_log(worker).count("this host's clock is") == 1


def test_a_workers_wrong_clock_is_in_none_of_its_times(site: Site) -> None:
    worker = site.start_ready_worker(**fake("+2h"))
    (shown,) = wait_until(lambda: site.call("GET", "/v1/workers").body["items"])
    assert is_near(shown["started_at"])
    assert shown["heartbeat_seconds"] < NEAR_SECONDS
    for then in ("", "fail"):
        job = site.post_noted(then=then)
        found = site.wait_for(job, "finished", "scheduled")
        assert is_near(found["started_at"])
        assert is_near(found["run_at"] or found["ended_at"])
        assert site.ledger.count(job)[0] == 1
    assert site.read_log(worker).count("this host's clock is 7200.0 s ahead of Redis'") == 1


@pytest.mark.parametrize("offset", ["+10m", "-10m"])
def test_an_apis_wrong_clock_is_in_nothing_that_it_stores(services: Services, offset: str) -> None:
    services.start_worker()
    services.start_api(**fake(offset))
    started = time.monotonic()
    soon, late = (services.post("echo", {}, f"?delay_seconds={seconds}") for seconds in (2, 300))
    assert is_near(services.read(soon)["run_at"])
    found: dict[str, Any] = services.wait_for(soon)
    assert 2 <= time.monotonic() - started < 10
    assert services.read(late)["status"] == "scheduled"
    assert all(is_near(found[name]) for name in ("created_at", "enqueued_at", "started_at", "ended_at")), found
    readiness = services.call("GET", "/readyz").body
    assert readiness["status"] == "ok"
    assert abs(readiness["clock"]["offset_seconds"]) == pytest.approx(600, abs=1)
    api = services.processes[-1]
    assert services.read_log(api).count("this host's clock is 600.0 s") == 1


@pytest.mark.slow
def test_lists_are_in_order_whatever_apis_clocks_say(services: Services) -> None:
    ids = []
    for offset in ("+10m", "-10m", "+0"):
        services.start_api(**fake(offset))
        ids += [services.post("echo", {"value": number}) for number in range(3)]
    listed = services.call("GET", "/v1/jobs").body["items"]
    assert [job["id"] for job in listed] == ids[::-1]
