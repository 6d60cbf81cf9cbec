"""Valkeys for tests: each has, beside the user who may do all, the one of docs/operations.md for what is under test."""

import ctypes
import os
import re
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from redis import Redis, RedisError

from errand.local.valkey import EmbeddedValkey, find_free_port
from tests.support.project import ROOT
from tests.support.waiting import wait_until

USER, PASSWORD = "errand", "limited"
ASKED_IN_VAIN = "config|get"  # how often the file is synced: where that is denied, it is unknown
_CACHESTAT = 451  # cachestat(2), Linux 6.5


def find_fast_folder() -> str | None:
    """Return a folder in memory for the data of tests' servers, None where there is none with room.

    They sync each write, and a disk that takes two seconds for it, while others use it, is rightly answered with a 503.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    return str(memory) if has_room else None


def read_rules() -> str:
    """Return what the line in docs/operations.md lets a user of its own do."""
    text = (ROOT / "docs/operations.md").read_text()
    (rules,) = re.findall(r"^ +ACL SETUSER errand on >\S+ (.+)$", text, re.MULTILINE)
    return str(rules)


class LimitedValkey(EmbeddedValkey):
    """What is under test has `user_url`; a test itself may use `url`."""

    @property
    def user_url(self) -> str:
        """How the user reaches it who may do no more than Errand needs."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{USER}:{PASSWORD}@{rest.rpartition('@')[2]}"

    def assert_nothing_was_denied(self) -> None:
        """Fail where that user was denied a command, a key or a channel since the last call, or the server's start."""
        entries = []
        with suppress(RedisError), Redis.from_url(self.url, socket_timeout=5) as redis:  # it may be down
            entries = [entry for entry in redis.acl_log() if entry["username"] == USER]
            redis.acl_log_reset()
        denied = {(entry["reason"], entry["context"], entry["object"]) for entry in entries}
        denied.discard(("command", "toplevel", ASKED_IN_VAIN))
        assert not denied, f"the user of docs/operations.md may not: {denied}"

    def _configure(self) -> str:
        return f"{super()._configure()}user {USER} on >{PASSWORD} {read_rules()}\n"


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
