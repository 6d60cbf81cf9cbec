"""The loop that async jobs share, and that of a job in a process of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar
from typing import Any

import pytest

from errand.worker.shared.loop import LoopThread, OwnLoop
from tests.support.waiting import wait_until

Loop = LoopThread | OwnLoop
word: ContextVar[str] = ContextVar("word", default="none")


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    loop = LoopThread()
    yield loop
    loop.close()


@pytest.fixture(params=["thread", "own"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    built: Loop = LoopThread() if request.param == "thread" else OwnLoop()
    yield built
    built.close()


async def find_loop() -> int:
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())


async def leave(ends: list[str]) -> None:
    ends.append("begun")
    try:
        await asyncio.sleep(60)
    finally:
        ends.append("canceled")


def test_all_coroutines_run_on_one_loop(loop: Loop) -> None:
    assert loop.run(find_loop()) == loop.run(find_loop())


def test_those_of_many_threads_run_at_once(thread: LoopThread) -> None:
    barrier = asyncio.Barrier(8)

    async def meet() -> int:
        await barrier.wait()
        return await find_loop()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: thread.run(meet()), range(8)))) == 1


def test_there_is_no_thread_until_it_is_needed() -> None:
    before = threading.active_count()
    LoopThread().close()
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_what_a_coroutine_raises_is_raised_and_the_loop_goes_on(loop: Loop, kind: type[BaseException]) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise kind("no")

    before = loop.run(find_loop())
    with pytest.raises(kind):
        loop.run(fail())
    assert loop.run(find_loop()) == before


def exit_in_a_task() -> None:
    async def leave() -> None:
        raise SystemExit("in a task")

    asyncio.get_running_loop().create_task(leave())


def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()


@pytest.mark.parametrize("act", [exit_in_a_task, stop_the_loop])
def test_nothing_that_a_job_does_ends_the_loop(thread: LoopThread, act: Callable[[], None]) -> None:
    async def run() -> str:
        act()
        await asyncio.sleep(0.01)
        return "done"

    assert [thread.run(run()), thread.run(run())] == ["done", "done"]


def test_each_has_a_context_of_its_own_that_begins_as_the_callers(loop: Loop) -> None:
    async def change() -> str:
        found = word.get()
        word.set("changed")
        return found

    def call() -> str:
        word.set("caller's")
        loop.run(change())
        return word.get()

    assert Context().run(call) == "caller's"
    assert Context().run(loop.run, change()) == "none"


def test_one_may_run_in_a_given_context_and_set_what_stays_there(loop: Loop) -> None:
    async def change() -> None:
        await asyncio.sleep(0)
        word.set("kept")

    context = Context()
    loop.run(change(), context=context)
    assert context.run(word.get) == "kept"


def test_it_is_canceled_from_another_thread_and_may_clean_up(thread: LoopThread) -> None:
    ends: list[str] = []
    cancels: list[Any] = []

    threading.Thread(target=lambda: wait_until(lambda: ends and cancels)[0]()).start()
    with pytest.raises(asyncio.CancelledError):
        thread.run(leave(ends), cancels.append)
    assert cancels[1] is None
    assert ends == ["begun", "canceled"]


def test_one_that_is_canceled_before_it_begins_never_begins(thread: LoopThread) -> None:
    begun: list[str] = []

    async def begin() -> None:
        begun.append("yes")

    with pytest.raises(asyncio.CancelledError):
        thread.run(begin(), lambda cancel: cancel() if cancel else None)  # type: ignore[arg-type]
    assert begun == []


def test_what_interrupts_the_calling_thread_cancels_its_coroutine() -> None:
    own, ends = OwnLoop(), []  # type: ignore[var-annotated]

    async def run() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await leave(ends)

    def interrupt() -> None:
        raise KeyboardInterrupt  # what a handler of a signal may do

    with pytest.raises(KeyboardInterrupt):
        own.run(run())
    assert ends == ["begun", "canceled"]
    own.close()


def test_closing_cancels_what_was_left_behind_and_closes_generators(loop: Loop) -> None:
    ends: list[str] = []

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ends.append("closed")

    async def run() -> AsyncIterator[int]:
        kept.append(asyncio.get_running_loop().create_task(leave(ends)))
        generator = generate()
        await anext(generator)
        await asyncio.sleep(0)
        return generator

    kept: list[Any] = []
    kept.append(loop.run(run()))
    loop.close()
    assert sorted(ends) == ["begun", "canceled", "closed"]
