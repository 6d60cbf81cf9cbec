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
ASKED_IN_VAIN = "config|get"  # Errand asks how often the file is synced, and does without where it may not
_CACHESTAT = 451  # cachestat(2), Linux 6.5


def find_fast_folder() -> str | None:
    """Return a folder in memory for the data of tests' servers, None where there is none with room.

    They sync each write, and a disk that takes two seconds for it, while others use it, is rightly answered with a 503.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    return str(memory) if has_room else None


def read_rules() -> str:
    """Return the rules of the `ACL SETUSER` line in docs/operations.md."""
    text = (ROOT / "docs/operations.md").read_text()
    (rules,) = re.findall(r"^ +ACL SETUSER errand on >\S+ (.+)$", text, re.MULTILINE)
    return str(rules)


class LimitedValkey(EmbeddedValkey):
    """What is under test has `user_url`; a test itself may use `url`."""

    @property
    def user_url(self) -> str:
        """Its URL for the user who may do no more than Errand needs."""
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

    def __init__(self, folder: Path, timeout_seconds: float | None = None) -> None:
        super().__init__(folder)
        self.tcp_port = find_free_port()
        self.synced_bytes = 0
        self._timeout_seconds = timeout_seconds

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def connect(self) -> Redis:
        """Return a client of it, which waits for an answer for `timeout_seconds`, or for ever."""
        return Redis.from_url(self.url, socket_timeout=self._timeout_seconds)

    def follow(self, primary: "Server") -> None:
        """Become a replica of another one. Raises RedisError."""
        with self.connect() as redis:
            redis.replicaof("127.0.0.1", primary.tcp_port)

    def is_linked(self) -> bool:
        """Return whether it is a replica whose link to its primary is up. Raises RedisError."""
        with self.connect() as redis:
            return bool(redis.info("replication").get("master_link_status") == "up")

    def promote(self, primary: "Server") -> None:
        """Become the primary in another one's place, once that has nothing more to give: no write is lost."""
        with primary.connect() as theirs, self.connect() as redis:
            theirs.client_pause(5000, all=False)
            wait_until(lambda: has_all(redis, theirs))
            redis.replicaof("NO", "ONE")

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
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
        for _ in range(20):
            os.kill(self.pid, signal.SIGSTOP)
            self.note_synced()
            if self.synced_bytes == self._find_log().stat().st_size:
                return
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.001)
        raise AssertionError("there is always something that the disk has not")

    def cut_power(self, torn_bytes: int = 0) -> None:
        """Kill it and leave of the append-only file what was synced, and some bytes of what came after that."""
        self.kill()
        os.truncate(self._find_log(), self.synced_bytes + torn_bytes)

    def _configure(self) -> str:
        """Let replicas come, which they do over TCP."""
        reachable = f"port {self.tcp_port}\nbind 127.0.0.1\nrepl-diskless-sync-delay 0\n"
        return super()._configure().replace("port 0\n", reachable)

    def _find_log(self) -> Path:
        (log,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return log


def has_all(replica: Redis, primary: Redis) -> bool:
    """Return whether a replica has all that its primary has."""
    has = int(replica.info("replication")["slave_repl_offset"])
    return has >= int(primary.info("replication")["master_repl_offset"])


def count_unsynced_pages(descriptor: int) -> int:
    """Return how many pages of a file are only in memory. Raises OSError where the kernel can't say."""
    whole = (ctypes.c_uint64 * 2)(0, 0)  # from the first byte to the last
    found = (ctypes.c_uint64 * 5)()  # cached, dirty, being written, evicted, evicted lately
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CACHESTAT, descriptor, whole, found, 0):
        raise OSError(ctypes.get_errno(), "cachestat")
    return int(found[1] + found[2])
