"""What a worker's process calls before its first job and after its last one."""

import asyncio
import logging
import shutil
import signal
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from errand import job
from errand.contract.hooks import Hooks
from errand.worker.shared import hooks as module
from errand.worker.shared.surroundings import LoneSurroundings, Surroundings
from tests.support.processes import signal_all
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.draining import drain, enqueue
from tests.worker.scripts import read
from tests.worker.test_async_jobs import run_alone

report: ContextVar[str] = ContextVar("word", default="none")
said: list[str] = []


@pytest.fixture(autouse=True)
def _quick_and_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    global said
    said = []  # a new list: a thread of the test before may still say a word
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("errand.worker.child.HAND_BACK_SECONDS", 0.05)
    monkeypatch.setattr(logging.getLogger("errand.worker"), "propagate", True)


@job()
async def run() -> list[Any]:
    said.append("job")
    return [id(asyncio.get_running_loop()), report.get()]


def say(text: str, fail_first: int = 0, error: type[BaseException] = ValueError) -> Callable[[], None]:
    left = [error("not yet") for _ in range(fail_first)]
    reports = said

    def hook() -> None:
        reports.append(text)
        if left:
            raise left.pop()
        report.set(text)

    return hook


async def open_on_loop() -> None:
    await asyncio.sleep(0)
    said.append(str(id(asyncio.get_running_loop())))
    report.set("of the loop")


@pytest.mark.parametrize("alone", [False, True], ids=["in a runner", "in a process of its own"])
def test_they_run_around_the_jobs_on_their_loop_and_what_they_set_is_seen(
    redis: Redis, queue: Queue, alone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    held = enqueue(queue, run)
    hooks = Hooks((say("first"), open_on_loop), (say("last"), say("fails", 1), open_on_loop))
    if alone:
        run_alone(redis, [run], LoneSurroundings(hooks))
    else:
        drain(redis, [run], Surroundings(hooks))
    loop, found = held.return_value(refresh=True)
    assert found == "of the loop"
    assert said == ["first", str(loop), "job", "last", "fails", str(loop)]
    assert "tests/worker/test_hooks.py: hook(): ValueError: not yet; the worker stops all the same" in caplog.text


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_no_job_is_taken_until_each_has_succeeded(
    redis: Redis, queue: Queue, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    held = enqueue(queue, run)
    drain(redis, [run], Surroundings(Hooks((say("first"), say("second", 2, error)))))
    assert said == ["first", "second", "second", "second", "job"]
    assert read(redis, held.id, "status", "errand_attempts") == [b"finished", b"1"]
    assert "hook(): " in caplog.text
    assert "not yet; no job is taken; it is called again in 0.05 s" in caplog.text


def test_a_runner_that_is_stopped_before_it_is_open_ends_without_those_that_close(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run)
    never = Hooks((say("first", 1000),), (say("last"),))

    def stop(orders: Any) -> None:
        orders.send(("drain", None))

    drain(redis, [run], Surroundings(never), orders=stop)
    assert "last" not in said
    assert read(redis, held.id, "status") == [b"queued"]


def test_a_job_whose_own_process_can_not_be_opened_goes_back_and_spends_no_try(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run)
    run_alone(redis, [run], LoneSurroundings(Hooks((say("first", 1),))))
    assert said == ["first"]
    assert read(redis, held.id, "status", "errand_interruptions") == [b"queued", b"1"]


FILE = """
import os
from errand import job, on_worker_start, on_worker_stop

opened = []

def note(word):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{word} {os.getpid()}\\n")

@on_worker_start
async def open_pool():
    note("start")
    opened.append(True)

@on_worker_stop
async def close_pool():
    note("stop")

@job(isolate=ISOLATE)
async def run() -> bool:
    note("job")
    return bool(opened)
"""


@pytest.mark.parametrize("isolate", [False, True])
def test_a_worker_calls_them_in_each_process_that_runs_jobs(services: Services, tmp_path: Path, isolate: bool) -> None:
    folder, notes = tmp_path / "project", tmp_path / "notes"
    shutil.copytree(services.project, folder)
    (folder / "jobs/pooled.py").write_text(FILE.replace("ISOLATE", str(isolate)))
    services.project = folder
    services.start_api()
    worker = services.start_worker(NOTES=str(notes))
    assert services.wait_for(services.post("pooled"))["result"] is True
    begun = time.monotonic()
    signal_all(worker.pid, signal.SIGTERM)
    wait_until(lambda: worker.poll() is not None)
    assert time.monotonic() - begun < 3
    lines = [line.split() for line in notes.read_text().splitlines()]
    (pid,) = {pid for what, pid in lines if what == "job"}
    assert [what for what, one in lines if one == pid] == ["start", "job", "stop"]
    assert len({one for _, one in lines}) == (2 if isolate else 1)
    assert sorted(what for what, one in lines if one != pid) == (["start", "stop"] if isolate else [])
