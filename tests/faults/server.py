"""A Valkey of a test's own, which it may stop, kill and cut the power of."""

import ctypes
import os
import signal
import time
from pathlib import Path

from redis import Redis

from errand.local.valkey import find_free_port
from tests.limited import LimitedValkey
from tests.services import wait_until

_CACHESTAT = 451  # cachestat(2), Linux 6.5


class Server(LimitedValkey):
    """The embedded server, as `errand up` starts it, in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.synced_bytes = 0

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._socket

    def connect(self) -> Redis:
        """Return a client of it."""
        return Redis.from_url(self.url)

    def follow(self, primary: "Server") -> None:
        """Become a replica of another one, and wait until its link is up."""
        with primary.connect() as theirs, self.connect() as redis:
            if not theirs.info("server")["tcp_port"]:
                theirs.config_set("port", find_free_port())  # replicas come over TCP
            theirs.config_set("repl-diskless-sync-delay", 0)
            redis.replicaof("127.0.0.1", theirs.info("server")["tcp_port"])
            wait_until(lambda: redis.info("replication").get("master_link_status") == "up")

    def promote(self, primary: "Server") -> None:
        """Become the primary in another one's place, once that has nothing more to give: no write is lost."""
        with primary.connect() as theirs, self.connect() as redis:
            theirs.client_pause(5000, all=False)
            wait_until(lambda: read_offset(redis, "slave_repl_offset") >= read_offset(theirs, "master_repl_offset"))
            redis.replicaof("NO", "ONE")

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def note_synced(self) -> None:
        """Note how much of the append-only file a power cut would leave, if it came now.

        That is all of it where the kernel holds no page of it that the disk has not; else what it was before.
        """
        with self._find_log().open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if count_unsynced_pages(file.fileno()) == 0:
                self.synced_bytes = size_bytes

    def freeze_synced(self) -> None:
        """Stop it where it is, at a moment at which the disk has all that it wrote: what it acknowledged, above all."""
        assert self._process is not None
        for _ in range(20):
            os.kill(self._process.pid, signal.SIGSTOP)
            self.note_synced()
            if self.synced_bytes == self._find_log().stat().st_size:
                return
            os.kill(self._process.pid, signal.SIGCONT)
            time.sleep(0.001)
        raise AssertionError("there is always something that the disk has not")

    def cut_power(self, torn_bytes: int = 0) -> None:
        """Kill it and leave of the append-only file what was synced, and some bytes of what came after that."""
        self.kill()
        os.truncate(self._find_log(), self.synced_bytes + torn_bytes)

    def _find_log(self) -> Path:
        (log,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return log


def read_offset(redis: Redis, name: str) -> int:
    """Return how far a server's replication has come."""
    return int(redis.info("replication")[name])


def count_unsynced_pages(descriptor: int) -> int:
    """Return how many pages of a file are only in memory. Raises OSError where the kernel does not tell."""
    whole = (ctypes.c_uint64 * 2)(0, 0)  # from the first byte to the last
    found = (ctypes.c_uint64 * 5)()  # cached, dirty, being written, evicted, evicted lately
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CACHESTAT, descriptor, whole, found, 0):
        raise OSError(ctypes.get_errno(), "cachestat")
    return int(found[1] + found[2])
