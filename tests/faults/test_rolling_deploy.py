"""Deploys: workers and APIs of two versions side by side, with job files and payloads that the other has not."""

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis import Redis

from tests.conftest import build_environment
from tests.support.servers import LimitedValkey
from tests.support.services import Process, Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

FILE = '"""A job."""\n\nfrom errand import job\n\n\n@job(queue="default")\ndef run({}) -> int:\n    return number\n'
OLD = {"steady": "number: int", "changed": "number: int", "retired": "number: int"}
NEW = {"steady": "number: int", "changed": "number: int, label: str", "added": "number: int"}
UNKNOWN = "no worker knows this type"


class Release(Services):
    """One version of the project: its own folder, its own API, its workers."""

    def __init__(self, project: Path, folder: Path, environment: dict[str, str], files: dict[str, str]) -> None:
        shutil.copytree(project, folder)
        for name, parameters in files.items():
            (folder / "jobs" / f"{name}.py").write_text(FILE.format(parameters))
        logs = folder / "logs"
        logs.mkdir()
        super().__init__(folder, environment, logs)
        self.types = list(files)
        self._has_label = "label" in files["changed"]

    def build_payload(self, type: str, number: int) -> dict[str, Any]:
        return {"number": number, **({"label": "x"} if type == "changed" and self._has_label else {})}


@pytest.fixture
def releases(
    project: Path, valkey: LimitedValkey, redis: Redis, sink: ScriptedSink, tmp_path: Path
) -> Iterator[tuple[Release, Release]]:
    """The version before and the one after."""
    environment = build_environment(valkey.user_url, sink, tmp_path)
    both = tuple(Release(project, tmp_path / name, environment, files) for name, files in (("1", OLD), ("2", NEW)))
    old, new = both
    yield old, new
    for release in both:
        release.stop()


def start_worker(release: Release, redis: Redis) -> Process:
    """Start a worker and wait until it is known."""
    before = redis.scard("rq:workers")
    worker = release.start_worker()
    wait_until(lambda: redis.scard("rq:workers") > before)
    return worker


def stop_worker(worker: Process) -> None:
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_worker_without_the_job_file_leaves_its_jobs_to_one_that_has_it(
    releases: tuple[Release, Release], redis: Redis
) -> None:
    old, new = releases
    new.start_api()
    start_worker(old, redis)
    items = [{"number": number} for number in range(100)]
    batch = new.call("POST", "/v1/batches/added", {"items": items}).body["id"]
    wait_until(lambda: redis.zcard("errand:parked:default:added:") > 0)
    start_worker(new, redis)
    batch_path = f"/v1/batches/{batch}"
    wait_until(lambda: new.call("GET", batch_path).body["finished"] == 100)
    assert not redis.keys("errand:parked:*")


def test_jobs_whose_file_was_removed_wait_are_shown_and_can_be_canceled(
    releases: tuple[Release, Release], redis: Redis
) -> None:
    old, new = releases
    old.start_api()
    jobs = [old.post("retired", {"number": number}) for number in range(3)]
    worker = start_worker(new, redis)
    waiting = wait_until(lambda: old.read(jobs[0]).get("waiting"))
    assert waiting["reason"] == UNKNOWN
    assert old.read(jobs[0])["status"] == "queued"
    queue = old.call("GET", "/v1/queues/default").body
    assert (queue["jobs"]["queued"], queue["waiting"]) == (3, [{"type": "retired", "jobs": 3, "reason": UNKNOWN}])
    assert [job["id"] for job in old.call("GET", "/v1/jobs?status=queued").body["items"]] == jobs[::-1]
    wait_until(lambda: f"Queue default: 3 of retired wait: {UNKNOWN}" in new.read_log(worker))
    assert old.call("POST", f"/v1/jobs/{jobs[1]}/cancel").body["status"] == "canceled"
    start_worker(old, redis)
    assert [old.wait_for(job)["status"] for job in jobs] == ["finished", "canceled", "finished"]


def test_a_payload_that_fits_the_only_code_there_is_no_more_fails(
    releases: tuple[Release, Release], redis: Redis
) -> None:
    old, new = releases
    old.start_api()
    job = old.post("changed", {"number": 1})
    old.stop()
    redis.delete("errand:posted")  # a minute later
    new.start_api()
    start_worker(new, redis)
    ended = new.wait_for(job)
    assert (ended["status"], ended["error"]["type"]) == ("failed", "InvalidPayloadError")


class Serving(Protocol):
    """A release whose API takes the jobs of a Load."""

    types: list[str]

    def build_payload(self, type: str, number: int) -> dict[str, Any]: ...

    def post(self, type: str, payload: Any = None, query: str = "") -> str: ...


class Load:
    """Posts jobs of every type through whichever release serves, one every few milliseconds, until it is stopped."""

    def __init__(self, release: Serving) -> None:
        self.release = release
        self.posted: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait_for_more(self, count: int = 60) -> None:
        """Wait until some more were posted."""
        already = len(self.posted)
        wait_until(lambda: len(self.posted) >= already + count)

    def _run(self) -> None:
        for number in itertools.count():
            if self._stopped.wait(0.005):
                return
            release = self.release
            type = release.types[number % len(release.types)]
            self.posted.append(release.post(type, release.build_payload(type, number)))


@pytest.mark.slow
@pytest.mark.parametrize("is_api_first", [True, False], ids=["the API first", "the workers first"])
def test_a_rolling_deploy_and_its_rollback_cost_no_job(
    releases: tuple[Release, Release], redis: Redis, is_api_first: bool
) -> None:
    old, new = releases
    for release in releases:
        release.start_api()
    workers = [start_worker(old, redis) for _ in range(3)]
    with Load(old) as load:
        load.wait_for_more()
        late = old.post("retired", {"number": 0}, "?delay_seconds=2")
        for release in (new, old, new, old):
            for nth in range(3):
                if nth == (0 if is_api_first else 1):
                    load.release = release
                    load.wait_for_more()
                started = start_worker(release, redis)
                stop_worker(workers.pop(0))
                workers.append(started)
                load.wait_for_more()
    wait_until(lambda: redis.zcard("rq:finished:default") == len(load.posted) + 1, 30)
    found = [old.read(job) for job in (*load.posted, late)]
    assert {job["status"] for job in found} == {"finished"}
    assert {(job["attempts"], job["losses"]) for job in found} == {(1, 0)}
    assert not redis.keys("errand:parked:*")


@pytest.mark.slow
def test_a_schedule_waits_for_a_worker_that_knows_its_type(releases: tuple[Release, Release], redis: Redis) -> None:
    old, new = releases
    new.start_api()
    start_worker(old, redis)
    body = {"type": "added", "payload": {"number": 7}, "every_seconds": 1, "catch_up": "all"}
    assert new.call("PUT", "/v1/schedules/seven", body).status == 201
    time.sleep(3)  # what must not happen: a slot that is lost
    assert new.call("GET", "/v1/schedules/seven").body["runs"] == []
    start_worker(new, redis)

    def read_finished() -> list[str]:
        runs = new.call("GET", "/v1/schedules/seven").body["runs"]
        return [run["slot"] for run in runs if run["status"] == "finished"]

    wait_until(lambda: len(read_finished()) >= 4)
