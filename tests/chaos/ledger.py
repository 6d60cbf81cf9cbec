"""The runs of jobs by their own notes, and when the processes that held them ended."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tests.support.ledgers import parse_line


@dataclass
class Run:
    """One run of a job; `word` is «end» or «raise», or nothing where its process ended first."""

    job: str
    number: int
    pid: int
    start: float
    word: str = ""
    end: float = 0.0  # for a run without a word, when its process was last seen alive
    worker: int = -1


class Process(Protocol):
    """What is known of the process of a run."""

    worker: int
    last_seen: float


class Processes(Protocol):
    """Finds the process that had a pid at a time."""

    def find(self, pid: int, at: float) -> Process | None: ...


def read_runs(lines: Iterable[str], processes: Processes) -> dict[str, list[Run]]:
    """Return the runs of each job, in the order of their starts, from lines of «word job pid time number»."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for line in map(parse_line, lines):
        if line.word == "start":
            runs[line.job].append(Run(line.job, line.number, line.pid, line.at))
        else:
            for run in reversed(runs[line.job]):
                if run.pid == line.pid and not run.word:
                    run.word, run.end = line.word, line.at
                    break
    for of_job in runs.values():
        of_job.sort(key=lambda run: run.start)
        for run in of_job:
            _note_process(run, processes)
    return dict(runs)


def _note_process(run: Run, processes: Processes) -> None:
    process = processes.find(run.pid, run.start)
    if process is not None:
        run.worker = process.worker
    if not run.word:
        run.end = max(run.start, process.last_seen if process else 0.0)
