"""Which processes a worker consists of, and how long each of them lived (Linux, /proc)."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import read_name


@dataclass
class Life:
    """A process of a worker, as it was seen; times are seconds since the epoch."""

    pid: int
    ticks: str  # when it began, by the kernel's clock: so that two processes of one pid differ
    worker: int
    first_seen: float
    last_seen: float
    owned_at: float  # when it was last seen below its supervisor


class Lives:
    """Every process that the workers ever had."""

    def __init__(self) -> None:
        self._alive: dict[int, Life] = {}
        self.by_pid: dict[int, list[Life]] = {}

    def see(self, worker: int, supervisor: int) -> None:
        """Note the processes of a worker that are alive now."""
        now = time.time()
        for pid in read_tree(supervisor):
            ticks = _read_ticks(pid)
            known = self._alive.get(pid)
            if ticks and (known is None or known.ticks != ticks):
                known = self._alive[pid] = Life(pid, ticks, worker, now, now, now)
                self.by_pid.setdefault(pid, []).append(known)
            if known is not None:
                known.owned_at = now

    def refresh(self) -> None:
        """Note which of the known processes are still alive."""
        now = time.time()
        for pid, life in list(self._alive.items()):
            if _read_ticks(pid) == life.ticks:
                life.last_seen = now
            else:
                self._alive.pop(pid, None)

    def list_alive(self) -> set[int]:
        """Return the processes that are alive, those that outlived their supervisor among them."""
        return set(self._alive)

    def find_orphans(self, seconds: float) -> set[int]:
        """Return the processes that have outlived their supervisor for so long."""
        now = time.time()
        return {life.pid for life in list(self._alive.values()) if now - life.owned_at > seconds}

    def find(self, pid: int, at: float) -> Life | None:
        """Return the process that had this pid at a time."""
        found = [life for life in self.by_pid.get(pid, []) if life.first_seen <= at + 1]
        return found[-1] if found else None


def read_tree(pid: int) -> list[int]:
    """Return a process and all below it, itself first; nothing where it has ended."""
    if not pid or not _read_ticks(pid):
        return []
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):  # the thread has just ended
                found += [int(child) for child in children.read_text().split()]
    return found


def find_named(pid: int, name: str) -> list[int]:
    """Return the processes below `pid` of this name."""
    return [child for child in read_tree(pid)[1:] if read_name(child) == name]


def _read_ticks(pid: int) -> str:
    """Return when a process began, nothing for one that has ended and only waits to be noticed."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""
