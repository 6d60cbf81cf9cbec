"""How far a client has come with a job or a batch, as an event's id, and what is new to it since."""

import re
from dataclasses import astuple, dataclass, replace

from rq.job import JobStatus as RQStatus

from errand.store.batch import BatchStatus
from errand.store.status import ENDED, JobStatus, Progress

STATUSES = frozenset(word.value for word in RQStatus)
LOG = "log"  # stands for the EventId before a log line, where a client has had no other event yet
_NO_DIGIT = re.compile(r"\D")


@dataclass(frozen=True)
class EventId:
    """How far a client has come with a job: its status, its attempt with its times, and its last report's time.

    Two states of a job differ in one of them. The times are their digits alone, '' where there is none.
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
    """One event: `kind` is status, progress or end; `job` as it was then, `event_id` how far that brings a client."""

    kind: str
    event_id: EventId
    job: JobStatus


def build_event_id(job: JobStatus) -> EventId:
    """Return the EventId of a client that knows all of the job."""
    times = (job.enqueued_at, job.started_at, job.ended_at, job.progress.updated_at)
    enqueued, started, ended, report = (_NO_DIGIT.sub("", time or "") for time in times)
    return EventId(job.status, job.attempts, enqueued, started, ended, report)


def read_event_id(id: str | None) -> EventId | None:
    """Return what the `id` of an event says, None for anything else."""
    status, *rest = (id or "").split(".")
    if status not in STATUSES or len(rest) != 5 or not re.fullmatch(r"[0-9]{1,9}", rest[0]):
        return None
    return EventId(status, int(rest[0]), *rest[1:])


def read_place(id: str | None) -> tuple[EventId | None, int]:
    """Return how far a client has come that had the event `id`: its EventId, and the last log line's number."""
    head, _, last = (id or "").rpartition(".")
    if (event_id := read_event_id(id)) is not None or not re.fullmatch(r"[0-9]{1,15}", last):
        return event_id, 0
    event_id = read_event_id(head)
    return event_id, int(last) if event_id is not None or head == LOG else 0


def write_place(event_id: EventId | None, line: int) -> str:
    """Return the `id` of an event after which a client knows what `event_id` says, and all log lines up to `line`.

    Where that is 0 it is the EventId alone, as it was before there were lines.
    """
    return f"{event_id or LOG}.{line}" if line else str(event_id)


def list_news(seen: EventId | None, job: JobStatus) -> list[News]:
    """Return what is new to a client, oldest first; each event's EventId holds what was sent up to there.

    A start that was passed over is sent as far as the record still has it. A client that knows nothing gets the job as
    it is.
    """
    now = build_event_id(job)
    if seen is None:
        return _list_first(now, job)
    news: list[News] = []
    if job.started_at and job.status != "started" and seen.started != now.started:
        start = replace(job, status="started", progress=Progress(), run_at=None, ended_at=None, result=None, error=None)
        seen = build_event_id(start)
        news.append(News("status", seen, start))
    head = _list_head(seen, now, job)
    report = _list_report(head[0].event_id if head and job.status == "started" else seen, now, job)
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


def build_batch_event_id(batch: BatchStatus) -> str:
    """Return the `id` of the event that shows the batch as it is."""
    return ",".join(f"{status}={count}" for status, count in sorted(batch.counts.items()))
