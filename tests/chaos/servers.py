"""The two Valkeys: a primary and its replica, which may change places."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT

from redis import Redis, RedisError

from errand.local.valkey import EmbeddedValkey, ServerMissingError, find_free_port
from tests.chaos.processes import send

STEP_SECONDS = 3.0  # how long the replica may take to have all
PAUSE_MS = 5000


class Server(EmbeddedValkey):
    """A Valkey that replicas can reach."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder_of_pid = folder
        self.tcp_port = find_free_port()

    def read_pid(self) -> int:
        """Return the process id."""
        return int((self._folder_of_pid / "pid").read_text())

    def connect(self) -> Redis:
        """Return a client of it."""
        return Redis.from_url(self.url, socket_timeout=5)

    def follow(self, other: "Server") -> None:
        """Become a replica. Raises RedisError."""
        with self.connect() as redis:
            redis.replicaof("127.0.0.1", other.tcp_port)

    def _configure(self) -> str:
        reachable = f"port {self.tcp_port}\nbind 127.0.0.1\nrepl-diskless-sync-delay 0\n"
        return super()._configure().replace("port 0\n", reachable)


class Servers:
    """Keeps a primary and a replica going; `lead` leads new connections to a URL."""

    def __init__(self, folder: Path, lead: Callable[[str], None]) -> None:
        self.primary, self.replica = Server(folder / "v"), Server(folder / "w")
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
            if ours.info("replication").get("master_link_status") != "up":
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
            with suppress(OSError, ValueError):
                send([server.read_pid()], SIGCONT)
            server.stop()
        self._starter.shutdown()


def _start(server: Server) -> None:
    try:
        server.start()
    except ServerMissingError:  # it had more to load than it has time for; what it reads again is cached
        server.start()


def _wait_for_all(theirs: Redis, ours: Redis) -> bool:
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        has = int(ours.info("replication")["slave_repl_offset"])
        if has >= int(theirs.info("replication")["master_repl_offset"]):
            return True
        time.sleep(0.005)
    return False
