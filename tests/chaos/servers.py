"""The two Valkeys: a primary and its replica, which may change places."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT

from redis import Redis, RedisError

from errand.local.valkey import ServerMissingError
from tests.support.processes import send
from tests.support.servers import Server, has_all
from tests.support.waiting import wait_until

STEP_SECONDS = 3.0  # how long the replica may take to have all
PAUSE_MS = 5000  # longer than that step, so that no write comes between it and the promotion
ANSWER_SECONDS = 5.0  # for a server that a fault has stopped


class Servers:
    """Keeps a primary and a replica going; `lead` leads new connections to a URL."""

    def __init__(self, folder: Path, lead: Callable[[str], None]) -> None:
        self.primary, self.replica = Server(folder / "v", ANSWER_SECONDS), Server(folder / "w", ANSWER_SECONDS)
        self._lead = lead
        self.busy = threading.Lock()  # whoever does something to them
        # A server ends with the thread that starts it, so this one lives as long as they do.
        self._starter = ThreadPoolExecutor(1)

    def start(self) -> None:
        """Start both. Raises ServerMissingError and RedisError."""
        for server in (self.primary, self.replica):
            self._starter.submit(_start, server).result()
        self.replica.follow(self.primary)

    def start_primary(self) -> None:
        """Start the primary again, after an end; its replica comes back by itself."""
        self._starter.submit(_start, self.primary).result()

    def fail_over(self, is_paused: bool) -> bool:
        """Promote the replica, and let the old primary follow it; return whether that was possible.

        New connections lead to the promoted one, old ones stay. With `is_paused` the primary takes no writes until the
        replica has all; without, what it has not yet is lost.
        """
        old, new = self.primary, self.replica
        with suppress(RedisError), old.connect() as theirs, new.connect() as ours:
            if not new.is_linked():
                return False
            if is_paused:
                theirs.client_pause(PAUSE_MS, all=False)
                if not _wait_for_all(theirs, ours):
                    theirs.client_unpause()
                    return False
            ours.replicaof("NO", "ONE")
            self.primary, self.replica = new, old
            self._lead(new.url)
            old.follow(new)
            theirs.client_unpause()
            return True
        return False

    def stop(self) -> None:
        """End both."""
        for server in (self.replica, self.primary):
            with suppress(AssertionError):  # it never started
                send([server.pid], SIGCONT)
            server.stop()
        self._starter.shutdown()


def _start(server: Server) -> None:
    try:
        server.start()
    except ServerMissingError:  # it had more to load than it has time for; what it reads again is cached
        server.start()


def _wait_for_all(theirs: Redis, ours: Redis) -> bool:
    with suppress(AssertionError):
        return wait_until(lambda: has_all(ours, theirs), STEP_SECONDS)
    return False
