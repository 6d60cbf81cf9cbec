"""Async jobs in a runner: on one loop, each with an end of its own."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue

from errand import Job, job
from errand.contract.hooks import Hooks
from errand.local.valkey import EmbeddedValkey
from errand.worker.attempt import perform
from errand.worker.child import Child
from errand.worker.shared.surroundings import LoneSurroundings, Surroundings
from tests.support.waiting import wait_until
from tests.worker.draining import NoRepeats, build_class, drain, enqueue, keeping_handlers
from tests.worker.scripts import build_records, read, take

word: ContextVar[str] = ContextVar("word", default="none")
cleaned: list[str] = []
begun: list[str] = []


@job()
async def run(then: str = "", name: str = "") -> list[Any]:
    """Return the loop and what the context holds; end in the way of `then`."""
    found = [id(asyncio.get_running_loop()), word.get(), threading.current_thread().name]
    word.set(name)
    try:
        begun.append(name)
        if then == "wait":
            await asyncio.sleep(60)
        await asyncio.sleep(0.01)
    finally:
        await asyncio.sleep(0)
        cleaned.append(name)
    if then == "exit":
        raise SystemExit("bye")
    if then == "interrupt":
        raise KeyboardInterrupt
    return found


def test_a_client_made_once_serves_all_of_them(redis: Redis, queue: Queue, valkey: EmbeddedValkey) -> None:
    client = AsyncRedis.from_url(valkey.url)

    @job()
    async def run(number: int) -> int:
        await client.set(f"seen:{number}", number)
        return int(await client.get(f"seen:{number}"))

    jobs = [enqueue(queue, run, number=number) for number in range(40)]
    drain(redis, [run], Surroundings(Hooks(stop=(client.aclose,))))
    assert [one.return_value(refresh=True) for one in jobs] == list(range(40))


def test_they_share_one_loop_and_no_context(redis: Redis, queue: Queue) -> None:
    jobs = [enqueue(queue, run, name=str(number)) for number in range(20)]
    drain(redis, [run])
    found = [one.return_value(refresh=True) for one in jobs]
    assert found == [[found[0][0], "none", "errand-loop"]] * 20


def test_one_past_its_time_is_canceled_and_cleans_up_and_the_others_go_on(redis: Redis, queue: Queue) -> None:
    late = enqueue(queue, run, 1, then="wait", name="late")
    others = [enqueue(queue, run) for _ in range(10)]
    drain(redis, [run])
    assert late.get_status(refresh=True) == "failed"
    assert b'"JobTimeoutException"' in (read(redis, late.id, "errand_error")[0] or b"")
    assert "late" in cleaned
    assert {one.get_status(refresh=True) for one in others} == {"finished"}


def test_one_that_is_stopped_is_canceled(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run, then="wait", name="stopped")

    def stop(orders: Any) -> None:
        def play() -> None:
            wait_until(lambda: "stopped" in begun)  # before that the runner may not know it yet
            orders.send(("stop", redis.zrange("errand:leases", 0, -1)[0].decode()))

        threading.Thread(target=play).start()

    drain(redis, [run], orders=stop)
    assert held.get_status(refresh=True) == "stopped"
    assert "stopped" in cleaned


@pytest.mark.parametrize(("then", "error"), [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt")])
def test_one_that_ends_the_interpreter_fails_alone(redis: Redis, queue: Queue, then: str, error: str) -> None:
    jobs = [enqueue(queue, run, then=then), enqueue(queue, run)]
    drain(redis, [run], threads=1)
    assert [one.get_status(refresh=True) for one in jobs] == ["failed", "finished"]
    assert f'"{error}"'.encode() in (read(redis, jobs[0].id, "errand_error")[0] or b"")


def run_alone(redis: Redis, types: list[Job[..., Any]], surroundings: LoneSurroundings | None = None) -> None:
    records = build_records(redis)
    (execution,) = take(records)
    with keeping_handlers(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("RQ_JOB_ID", "")
        run = partial(perform, job_class=build_class(types), connection=redis)
        Child(execution, records, NoRepeats(), run, surroundings).run()


def test_one_in_a_process_of_its_own_runs_in_the_main_thread(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run)
    run_alone(redis, [run])
    assert held.return_value(refresh=True)[2] == "MainThread"


def test_one_in_a_process_of_its_own_is_canceled_too_when_its_time_is_over(redis: Redis, queue: Queue) -> None:
    held = enqueue(queue, run, 1, then="wait", name="late alone")
    run_alone(redis, [run])
    assert held.get_status(refresh=True) == "failed"
    assert b'"JobTimeoutException"' in (read(redis, held.id, "errand_error")[0] or b"")
    assert "late alone" in cleaned
