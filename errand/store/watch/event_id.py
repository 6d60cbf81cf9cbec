"""How far a client has come with a job or a batch, as an event's id, and what is new to it since."""

import re
from dataclasses import astuple, dataclass, replace

from rq.job import JobStatus as RQStatus

from errand.store.batch import BatchStatus
from errand.store.status import ENDED, JobStatus, Progress

STATUSES = frozenset(word.value for word in RQStatus)
LOG = "log"  # stands in the place of a mark where none was told yet
_NO_DIGIT = re.compile(r"\D")


@dataclass(frozen=True)
class EventId:
    """What tells two states of a job apart: its status, its attempt with its times, and its last report's time.

    The times are their digits alone, '' where there is none.
    """

    status: str
    attempts: int
    enqueued: str
    started: str
    ended: str
    report: str

    def __str__(self) -> str:
        return ".".join(str(part) for part in astuple(self))


@dataclass(frozen=True)
class News:
    """One event: `kind` is status, progress or end; `job` as it was then."""

    kind: str
    mark: EventId
    job: JobStatus


def mark_job(job: JobStatus) -> EventId:
    """Return the mark of a client that knows all of the job."""
    times = (job.enqueued_at, job.started_at, job.ended_at, job.progress.updated_at)
    enqueued, started, ended, report = (_NO_DIGIT.sub("", time or "") for time in times)
    return EventId(job.status, job.attempts, enqueued, started, ended, report)


def read_mark(id: str | None) -> EventId | None:
    """Return the mark that an event's id holds, None for anything else."""
    status, *rest = (id or "").split(".")
    if status not in STATUSES or len(rest) != 5 or not re.fullmatch(r"[0-9]{1,9}", rest[0]):
        return None
    return EventId(status, int(rest[0]), *rest[1:])


def read_place(id: str | None) -> tuple[EventId | None, int]:
    """Return how far a client has come that had the event `id`: its mark, and the number of the last log line."""
    head, _, last = (id or "").rpartition(".")
    if (mark := read_mark(id)) is not None or not re.fullmatch(r"[0-9]{1,15}", last):
        return mark, 0
    mark = read_mark(head)
    return mark, int(last) if mark is not None or head == LOG else 0


def write_place(mark: EventId | None, line: int) -> str:
    """Return the id of an event after which a client knows what `mark` says, and all log lines up to one.

    Without a line it is the mark alone, as it was before there were lines.
    """
    return f"{mark or LOG}.{line}" if line else str(mark)


def list_news(seen: EventId | None, job: JobStatus) -> list[News]:
    """Return what is new to a client, oldest first; each event's mark holds what was told up to there.

    A start that was passed over is told from what the record keeps of it. A client that knows nothing gets the job as
    it is.
    """
    now = mark_job(job)
    if seen is None:
        return _list_first(now, job)
    news: list[News] = []
    if job.started_at and job.status != "started" and seen.started != now.started:
        start = replace(job, status="started", progress=Progress(), run_at=None, ended_at=None, result=None, error=None)
        seen = mark_job(start)
        news.append(News("status", seen, start))
    head = _list_head(seen, now, job)
    report = _list_report(head[0].mark if head and job.status == "started" else seen, now, job)
    return [*news, *head, *report] if job.status == "started" else [*news, *report, *head]


def _list_first(now: EventId, job: JobStatus) -> list[News]:
    if job.status in ENDED or not now.report:
        return [News("end" if job.status in ENDED else "status", now, job)]
    return [News("status", replace(now, report=""), job), News("progress", now, job)]


def _list_head(seen: EventId, now: EventId, job: JobStatus) -> list[News]:
    if replace(seen, report="") == replace(now, report=""):
        return []
    if job.status == "started":  # its report, where there is one, comes after
        known = seen.report if seen.report == now.report else ""
        return [News("status", replace(now, report=known), job)]
    return [News("end" if job.status in ENDED else "status", now, job)]


def _list_report(seen: EventId, now: EventId, job: JobStatus) -> list[News]:
    if not now.report or seen.report == now.report:
        return []
    return [News("progress", replace(seen, report=now.report), job)]


def mark_batch(batch: BatchStatus) -> str:
    """Return the id of the event that tells the batch as it is."""
    return ",".join(f"{status}={count}" for status, count in sorted(batch.counts.items()))
