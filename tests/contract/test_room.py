"""Threads that need memory wait for room."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from errand.contract.body_memory import Room
from tests.support.waiting import wait_until


def enter(room: Room, size_bytes: int, inside: list[int], leave: threading.Event) -> threading.Thread:
    def run() -> None:
        with room.take(size_bytes):
            inside.append(size_bytes)
            leave.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_who_does_not_fit_waits_until_another_leaves() -> None:
    room, leave = Room(100), threading.Event()
    inside: list[Any] = []
    with room.take(60):
        thread = enter(room, 60, inside, leave)
        assert enter(room, 40, inside, leave).join(0.5) is None
        wait_until(lambda: inside == [40])
    wait_until(lambda: sorted(inside) == [40, 60])
    leave.set()
    thread.join()


def test_what_is_larger_than_all_of_it_comes_in_alone() -> None:
    room, leave = Room(100), threading.Event()
    inside: list[Any] = []
    with ExitStack() as stack:
        stack.enter_context(room.take(1))
        thread = enter(room, 500, inside, leave)
        assert inside == []
    wait_until(lambda: inside == [500])
    leave.set()
    thread.join()


def test_a_thread_that_ended_without_a_word_holds_nothing() -> None:
    room = Room(100)
    block = room.take(100)
    lost = threading.Thread(target=block.__enter__)
    lost.start()
    lost.join()
    with room.take(100):
        pass


def test_an_error_inside_leaves_room() -> None:
    room = Room(100)
    with pytest.raises(ValueError, match="no"), room.take(100):
        raise ValueError("no")
    with room.take(100):
        pass
