"""The truth of what ran: the lines that the jobs of tests/fixtures/jobs write at each start and each end."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Line:
    """One line: «start», «end» or «raise», whose, in which process, and when (seconds since 1970)."""

    word: str
    job: str
    pid: int
    at: float
    number: int = 0  # the job's own, in a chaos run


def parse_line(text: str) -> Line:
    """Return what a line «word job pid time», or one with a number behind these, says."""
    word, job, pid, at, *more = text.split()
    return Line(word, job, int(pid), float(at), *map(int, more))


class Ledger:
    """A ledger file, which many processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Line]:
        """Return all lines so far."""
        return list(map(parse_line, self.path.read_text().splitlines())) if self.path.exists() else []

    def starts(self, job: str) -> list[Line]:
        """Return the starts of one job, oldest first."""
        return [line for line in self.read() if (line.word, line.job) == ("start", job)]

    def ends(self, job: str) -> list[Line]:
        """Return the ends of one job, oldest first."""
        return [line for line in self.read() if (line.word, line.job) == ("end", job)]

    def count(self, job: str) -> tuple[int, int]:
        """Return how often a job started, and how often it came to its end."""
        return len(self.starts(job)), len(self.ends(job))

    def wait_for_start(self, job: str, number: int = 1, timeout_seconds: float = 20) -> Line:
        """Return a job's first start, or a later one by its number."""
        return wait_until(lambda: self.starts(job)[number - 1 :], timeout_seconds)[0]

    def wait_for_end(self, job: str, number: int = 1, timeout_seconds: float = 20) -> Line:
        """Return a job's first end, or a later one by its number."""
        return wait_until(lambda: self.ends(job)[number - 1 :], timeout_seconds)[0]
