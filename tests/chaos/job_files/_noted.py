"""A run that notes its start and how it ended in a file, which is the truth of what ran."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errand import Progress, job_id
from jobs.ledger import Then, act


def perform(ledger: str, number: int, seconds: float, then: Then, fail_first: int, progress: Progress) -> str:
    """Take `seconds` and end in the way of `then`; the first `fail_first` runs fail."""
    with noted(ledger, number):
        tries = Path(f"{ledger}.{job_id()}")
        if fail_first:
            with tries.open("a") as file:
                file.write(".")
            if tries.stat().st_size <= fail_first:
                raise ValueError("told to fail")
        act(then, seconds, progress)
    return "done"


@contextmanager
def noted(ledger: str, number: int) -> Iterator[None]:
    """Note «start» now, and «end» or «raise» at the end; a process that is killed notes nothing."""
    _note(ledger, "start", number)
    try:
        yield
    except BaseException:
        _note(ledger, "raise", number)
        raise
    _note(ledger, "end", number)


def _note(ledger: str, word: str, number: int) -> None:
    """Append «word job pid time number» in one write, which no other writer can part."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    now = float(os.environ["CHAOS_EPOCH"]) + time.monotonic()  # the process's own clock may be wrong
    os.write(descriptor, f"{word} {job_id()} {os.getpid()} {now:.3f} {number}\n".encode())
    os.close(descriptor)
