"""The time line of a job: stored, each attempt, what comes next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from errand.api.console.formatting import show_count, show_span
from errand.store.observe.attempts import AttemptRecord
from errand.store.status import JobStatus

COLOURS = {"failed": "failed", "lost": "failed", "stopped": "failed", "finished": "finished"}


@dataclass(frozen=True)
class TimelineStep:
    """Something that happened or will: the status whose colour it has, a title, when, and details."""

    kind: str
    title: str
    at: str | None = None
    since: str | None = None  # of what goes on: from when its time is counted
    took: str = ""
    detail: str = ""
    frame: str = ""
    worker: str = ""
    number: int | None = None
    edit: int | None = None


@dataclass(frozen=True)
class EditStep:
    """An edit of the payload: when, after how many attempts, which of the edits, and the fields that it changed."""

    at: str
    attempts: int
    number: int
    changed: Sequence[str]


def build_steps(
    job: JobStatus, attempts: Sequence[AttemptRecord], edits: Sequence[EditStep] = ()
) -> list[TimelineStep]:
    """Return the steps in order."""
    steps = [TimelineStep("stored", "Stored", job.created_at)]
    if not attempts and job.enqueued_at and show_span(job.created_at, job.enqueued_at) not in ("0 ms", "–"):
        steps.append(TimelineStep("queued", "Queued", job.enqueued_at))
    return [*steps, *_build_handbacks(job, attempts), *_build_runs(attempts, edits), *_build_next(job)]


def _build_runs(attempts: Sequence[AttemptRecord], edits: Sequence[EditStep]) -> list[TimelineStep]:
    """Return attempts and edits in their order; an edit comes after the attempts before it."""
    runs = [(attempt.number, 0, _build_attempt(attempt)) for attempt in attempts]
    runs += [(edit.attempts, 1, _build_edit(edit)) for edit in edits]
    return [step for _, _, step in sorted(runs, key=_place)]


def _place(entry: tuple[int, int, TimelineStep]) -> tuple[int, int]:
    return entry[:2]


def _build_edit(edit: EditStep) -> TimelineStep:
    detail = f"changed: {', '.join(edit.changed)}" if edit.changed else ""
    return TimelineStep("edited", "Payload edited", edit.at, detail=detail, edit=edit.number)


def list_changes(before: Any, after: Any) -> list[str]:
    """Return the names of the fields that differ between two payloads."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    names = list(dict.fromkeys((*before, *after)))
    return [name for name in names if name not in before or name not in after or before[name] != after[name]]


def _build_attempt(attempt: AttemptRecord) -> TimelineStep:
    error = attempt.error
    return TimelineStep(
        kind=COLOURS.get(attempt.outcome or "started", attempt.outcome or "started"),
        title=f"Attempt {attempt.number} {attempt.outcome or 'runs'}",
        at=attempt.started_at or attempt.ended_at,
        since=None if attempt.outcome else attempt.started_at,
        took=show_span(attempt.started_at, attempt.ended_at) if attempt.ended_at and attempt.started_at else "",
        detail=f"{error.type}: {error.message}" if error else "",
        frame=attempt.frame or "",
        worker=attempt.worker or "",
        number=attempt.number,
    )


def _build_handbacks(job: JobStatus, attempts: Sequence[AttemptRecord]) -> list[TimelineStep]:
    """Return how often it was handed back, where the attempts that are known do not show it."""
    known = Counter(attempt.outcome for attempt in attempts)
    parts = []
    if job.interruptions > known["interrupted"]:
        parts.append(
            f"interrupted {show_count(job.interruptions, 'time')} when its worker stopped; that uses up no try"
        )
    if job.losses > known["lost"]:
        parts.append(f"lost {show_count(job.losses, 'time')} with its worker's process")
    return [TimelineStep("interrupted", "Handed back", detail="; ".join(parts))] if parts else []


def _build_next(job: JobStatus) -> list[TimelineStep]:
    if job.status == "canceled":
        return [TimelineStep("canceled", "Canceled", job.ended_at)]
    if job.status == "scheduled":
        title = f"Attempt {job.attempts + 1}" if job.attempts else "Runs"
        more = _count_tries(job.retries_left)
        left = f"if it fails, {more} after it" if more else "it is the last try"
        return [TimelineStep("scheduled", title, job.run_at, detail=left if job.attempts else "")]
    if job.status == "started" and job.retries_left:
        return [TimelineStep("scheduled", "If it fails", detail=_count_tries(job.retries_left))]
    if job.status == "queued":
        return [TimelineStep("queued", "Waits in its queue", job.enqueued_at, since=job.enqueued_at)]
    if job.status == "deferred":
        return [TimelineStep("deferred", "Waits for other jobs", detail="")]
    return []


def _count_tries(retries_left: int) -> str:
    return f"{retries_left:,} more {'try' if retries_left == 1 else 'tries'}" if retries_left else ""
