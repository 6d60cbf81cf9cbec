"""A worker's processes: finding, killing, freezing them."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.local.running import find_descendants, list_processes

RUNNER = "errand-runner"
CHILD = "errand-job"


def is_alive(pid: int) -> bool:
    """Return whether a process lives; one that only waits to be reaped does not."""
    return pid in list_processes()


def read_name(pid: int) -> str:
    """Return a process's name; "" for one that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def find_by_name(worker: int, name: str) -> list[int]:
    """Return those of a worker's processes that bear a name."""
    return [pid for pid in sorted(find_descendants(worker)) if read_name(pid) == name]


def find_runner(worker: int) -> int:
    """Return the id of the process whose threads run jobs; 0 while there is none."""
    return next(iter(find_by_name(worker, RUNNER)), 0)


def signal_all(worker: int, number: int) -> set[int]:
    """Send a signal to every process of a worker, the supervisor first; return their ids."""
    family = find_descendants(worker)
    for pid in (worker, *family):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return family | {worker}


def kill_all(worker: int) -> set[int]:
    """End a worker as a crash of its machine would, all its processes at one stroke; return their ids."""
    signal_all(worker, signal.SIGSTOP)  # so that none of them sees another one die
    return signal_all(worker, signal.SIGKILL)


def freeze(worker: int) -> set[int]:
    """Stop every process of a worker where it is; return their ids, for `thaw`."""
    return signal_all(worker, signal.SIGSTOP)


def thaw(pids: set[int]) -> None:
    """Let stopped processes go on."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
