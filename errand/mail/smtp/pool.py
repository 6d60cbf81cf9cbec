"""The connections to one mail server that a process keeps between its mails."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Lock, Thread, current_thread
from typing import TypeVar

from errand.contract.errors import ServiceDownError
from errand.mail.smtp.connection import IDLE_SECONDS, Connection
from errand.mail.smtp.conversation import Conversation
from errand.mail.transport import DeliveryError, RefusedError

T = TypeVar("T")

LOOK_SECONDS = 0.25  # an interruption reaches a thread only between two waits
_pools: dict[tuple[int, str, int], "MailPool"] = {}


def find_pool(url: str, limit: int) -> "MailPool":
    """Return this process's pool for the server at `url`; a forked child has pools of its own."""
    key = (os.getpid(), url, limit)
    return _pools.get(key) or _pools.setdefault(key, MailPool(url, limit))


class MailPool:
    """Has at most `limit` connections at once, those in use and those kept together.

    A thread holds the right to one. If an interruption keeps it from giving that back, the right is free again when the
    thread has ended.
    """

    def __init__(self, url: str, limit: int) -> None:
        self._url = url
        self._limit = limit
        self._lock = Lock()
        self._freed = Condition(self._lock)
        self._held: dict[Thread, Connection | None] = {}
        self._kept: list[Connection] = []  # in the order in which they came to rest
        self._closer: Thread | None = None

    def use(self, talk: Callable[[Conversation], T]) -> T:
        """Return what `talk` returns for one message; wait for a connection while `limit` are in use.

        Where a kept connection may be why nobody has the mail, `talk` is called again with a new one.
        Raises what `talk` raises, and ServiceDownError where there is no connection to be had.
        """
        me = current_thread()
        try:
            kept = self._wait_for_turn(me)
            if kept is not None and kept.resume():
                conversation = Conversation(kept)
                try:
                    result = _talk(talk, conversation)
                except (DeliveryError, RefusedError, ServiceDownError):
                    if not conversation.is_stale:
                        raise
                if not conversation.is_stale:
                    return result
            if kept is not None and not kept.is_open:
                self._close_kept()  # they have most likely ended too
            elif kept is not None:
                kept.quit()
            return self._begin(me, talk)
        finally:
            self._give_back(me)

    def _begin(self, me: Thread, talk: Callable[[Conversation], T]) -> T:
        """Return what `talk` returns over a new connection.

        Where that ends before the message began, the message may be the reason, or the server has just gone. So one
        more connection is opened to find out: raises ServiceDownError where that fails.
        """
        self._held[me] = fresh = Connection(self._url)
        conversation = Conversation(fresh)
        try:
            return _talk(talk, conversation)
        except DeliveryError:
            if not fresh.is_open and not conversation.is_begun:
                self._held[me] = next_one = Connection(self._url)
                next_one.rest()
            raise

    def _wait_for_turn(self, me: Thread) -> Connection | None:
        """Wait until this thread may have a connection; return one that is kept, or None for a new one."""
        with self._lock:
            self._held.pop(me, None)  # an interruption may have left it: the thread must not wait for itself
            while len(self._held) >= self._limit:
                self._freed.wait(LOOK_SECONDS)
                self._forget_ended()
            self._held[me] = kept = self._kept.pop() if self._kept else None
            return kept

    def _forget_ended(self) -> None:
        for thread in [thread for thread in self._held if not thread.is_alive()]:
            connection = self._held.pop(thread)
            if connection is not None:
                connection.close()

    def _give_back(self, me: Thread) -> None:
        with self._lock:
            connection = self._held.pop(me, None)
            if connection is not None and connection.rests_since is not None and connection.is_open:
                self._kept.append(connection)
                self._start_closer()
            elif connection is not None:
                connection.close()  # an interruption may have left any answer unread
            self._freed.notify()

    def _start_closer(self) -> None:
        if self._closer is None or not self._closer.is_alive():
            self._closer = Thread(target=self._close_idle, name="errand-mail", daemon=True)
            with suppress(RuntimeError):  # no thread can be started: a mail that was sent must not fail for that
                self._closer.start()

    def _close_kept(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def _close_idle(self) -> None:
        """Quit each connection that has rested for IDLE_SECONDS, until none is kept."""
        me = current_thread()
        while True:
            with self._lock:
                if not self._kept:
                    self._closer = None
                    return
                oldest = self._kept[0]
                wait_seconds = (oldest.rests_since or 0) + IDLE_SECONDS - time.monotonic()
                if wait_seconds <= 0:
                    self._held[me] = self._kept.pop(0)
            if wait_seconds > 0:
                time.sleep(wait_seconds)
            else:
                oldest.quit()
                with self._lock:
                    self._held.pop(me)
                    self._freed.notify()


def _talk(talk: Callable[[Conversation], T], conversation: Conversation) -> T:
    connection = conversation.connection
    try:
        result = talk(conversation)
    except (DeliveryError, RefusedError, ServiceDownError):
        connection.reset()
        raise
    if conversation.is_left:
        connection.reset()
    else:
        connection.rest()
    if conversation.is_worn:
        connection.quit()
    return result
