"""This machine's processes, and a worker's among them: finding, killing, freezing them (Linux, /proc)."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

RUNNER = "errand-runner"
CHILD = "errand-job"


def list_processes() -> dict[int, tuple[int, int]]:
    """Return every process's parent and session, by id; zombies are left out."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if state != "Z":
                found[int(stat.parent.name)] = (int(parent), int(session))
    return found


def find_descendants(root: int) -> set[int]:
    """Return the ids of a process's children, theirs, and what lives on in the sessions of those."""
    processes = list_processes()
    family = {root}
    while more := {pid for pid, (parent, session) in processes.items() if {parent, session} & family} - family:
        family |= more
    return family - {root}


def read_command(pid: int) -> str:
    """Return a process's command line; "" for one that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def read_name(pid: int) -> str:
    """Return what a process is called in `ps`; "" for one that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def is_alive(pid: int) -> bool:
    """Return whether a process lives; one that only waits to be reaped does not."""
    return pid in list_processes()


def find_by_name(worker: int, name: str) -> list[int]:
    """Return those of a worker's processes that bear a name."""
    return [pid for pid in sorted(find_descendants(worker)) if read_name(pid) == name]


def find_runner(worker: int) -> int:
    """Return the id of the process whose threads run jobs; 0 while there is none."""
    return next(iter(find_by_name(worker, RUNNER)), 0)


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to those of the processes that still live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def signal_all(worker: int, number: int) -> set[int]:
    """Send a signal to every process of a worker, the supervisor first; return their ids."""
    family = find_descendants(worker)
    send((worker, *family), number)
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
    send(pids, signal.SIGCONT)
