"""What holds up a job, one judge a cause, in the order in which the causes have to go."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from errand.store.observe.rate import Expected, expect_start
from errand.store.status import JobError, LinkedJob

NAMED = 3  # of the jobs that it waits for, in a sentence


@dataclass(frozen=True)
class Workers:
    """How many workers live, serve the job's queue, can run the job, and are idle of these."""

    live: int
    serving: int
    able: int
    free: int


@dataclass(frozen=True)
class LinkedBatch:
    """A batch that a job waits for, and how many of its jobs have ended."""

    id: str
    total: int
    ended: int


@dataclass(frozen=True)
class Verdict:
    """What holds up a job: a word for machines, a sentence for people, and the facts behind it as far as they apply.

    `blocks` is false where nothing has to be done but to wait for its turn. Times are RFC 3339.
    """

    word: str
    reason: str
    blocks: bool = True
    since: str | None = None
    until: str | None = None
    before: int | None = None
    exact: bool | None = None
    expected: Expected | None = None
    jobs: list[LinkedJob] | None = None
    batches: list[LinkedBatch] | None = None
    error: JobError | None = None
    worker: str | None = None


@dataclass(frozen=True)
class Facts:
    """What the script gathered, the time in seconds, and the seconds between two starts of the job's type."""

    job: Mapping[str, str]
    found: Mapping[str, Any]
    now: float
    interval_seconds: float | None = None

    @property
    def queue(self) -> str:
        """The job's queue."""
        return self.job.get("origin", "")

    @property
    def status(self) -> str:
        """RQ's word."""
        return self.job["status"]

    @property
    def type(self) -> str:
        """The job's type."""
        return self.job.get("description", "")

    @property
    def parked_since(self) -> str | None:
        """Since when it has been parked, by its hash."""
        return _read_json(self.job.get("errand_parked")).get("since")

    @property
    def error(self) -> JobError | None:
        """What its last attempt noted."""
        found = _read_json(self.job.get("errand_error"))
        return JobError(str(found.get("type")), str(found.get("message"))) if found else None

    @cached_property
    def workers(self) -> Workers:
        """The workers that could run it."""
        return Workers(**self.found["workers"])

    @cached_property
    def jobs(self) -> list[LinkedJob]:
        """What it waits for."""
        return [LinkedJob(id, status or None) for id, status in self.found["ids"] or ()]


def _judge_parents(facts: Facts) -> Verdict | None:
    if facts.status != "deferred":
        return None
    left = [job for job in facts.jobs if job.status != "finished"]
    batches = [LinkedBatch(*found) for found in facts.found.get("batches") or ()]
    named = [f"batch {one.id} ({one.ended:,} of {one.total:,} jobs have ended)" for one in batches]
    named += [_name(left)] if left or not batches else []
    return Verdict("waits_for_jobs", f"it waits for {' and '.join(named)}", jobs=left, batches=batches or None)


def _judge_schedule(facts: Facts) -> Verdict | None:
    due = facts.found["due"]
    if facts.status != "scheduled" or not due or float(due) <= facts.now:
        return None
    until, attempts = _write_time(float(due)), facts.job.get("errand_attempts", "0")
    if facts.error and attempts != "0":
        failed = f"attempt {attempts} failed with {facts.error.type}: {facts.error.message}"
        return Verdict("waits_for_retry", f"it is tried again at {until}; {failed}", until=until, error=facts.error)
    return Verdict("waits_for_time", f"it is to run at {until}", until=until)


def _judge_key(facts: Facts) -> Verdict | None:
    limit = facts.found["limit"]
    if facts.status != "rate_limited" or not limit:
        return None
    key, most = facts.job["rate_limit_key"], limit["concurrency"]
    many = f"{most:,.0f} jobs" if most != 1 else "one job"
    said = f"its concurrency key {key!r} lets {many} be queued or run at once, now {_name(facts.jobs)}"
    return Verdict("waits_for_key", _add_before(said, limit["before"]), before=limit["before"], jobs=facts.jobs)


def _judge_suspension(facts: Facts) -> Verdict | None:
    said = "RQ is suspended, so no worker takes jobs of any queue; `rq resume` ends that"
    return Verdict("rq_suspended", said) if facts.found["suspended"] else None


def _judge_pause(facts: Facts) -> Verdict | None:
    said = f"the queue {facts.queue} is paused; `errand queues resume {facts.queue}` ends that"
    return Verdict("queue_paused", said) if facts.found["paused"] else None


def _judge_workers(facts: Facts) -> Verdict | None:
    if facts.workers.serving:
        return None
    live = facts.workers.live
    others = f"; {live} {'serves' if live == 1 else 'serve'} others" if live else "; none is running at all"
    return Verdict("no_worker", f"no worker serves the queue {facts.queue}{others}")


def _judge_type(facts: Facts) -> Verdict | None:
    if facts.workers.able or not facts.workers.serving:
        return None
    if facts.job.get("errand_refused"):
        said = f"its payload does not fit the code that the workers have of the type {facts.type}"
        return Verdict("payload_refused", said, since=facts.parked_since, error=facts.error)
    said = f"no worker of the queue {facts.queue} knows the type {facts.type}"
    return Verdict("type_unknown", said, since=facts.parked_since)


def _judge_hold(facts: Facts) -> Verdict | None:
    hold = facts.found["hold"]
    if not hold:
        return None
    probe_ms = hold.get("probe_at_ms")
    said = f"the type {facts.type} is held since {hold['since']}: {hold['reason']}"
    more = "; one of its jobs is run just now to see" if hold.get("probing") else ""
    until = _write_time(probe_ms / 1000) if probe_ms and not more else None
    return Verdict("type_held", said + more, since=hold["since"], until=until)


def _judge_rate(facts: Facts) -> Verdict | None:
    park = facts.found["park"]
    if not park or park["kind"] != "rated":
        return None
    due = max(facts.now, float(facts.found["rate_due_us"] or 0) / 1_000_000)
    until = _write_time(due + park["before"] * facts.interval_seconds) if facts.interval_seconds else None
    said = f"the rate of the type {facts.type} lets it start {f'at {until}' if until else 'later'}"
    return Verdict("rate", _add_before(said, park["before"]), until=until, before=park["before"], exact=True)


def _judge_turn(facts: Facts) -> Verdict | None:
    if facts.status != "queued":
        return Verdict("starting", "it is just being put into its queue", blocks=False)
    place = facts.found["park"] or facts.found["place"]
    before, since = place["before"], facts.job.get("enqueued_at")
    if before is False:
        return Verdict("starting", "it is in no list: a worker is just taking it", blocks=False, since=since)
    exact = bool(place.get("exact", True))
    if before == 0 and facts.workers.free:
        said = "nothing is before it and a worker is free: it is just being taken"
        return Verdict("starting", said, blocks=False, since=since, before=0, exact=exact)
    expected = expect_start(before, list(facts.found["ends"] or ()), facts.now % 60, _measure_waiting(facts))
    said = _add_before("the workers are busy", before, "" if exact else "about ")
    if expected:
        said += f"; at the rate of the last minutes it starts in {_write_span(expected.p50_seconds)}"
    return Verdict("workers_busy", said, blocks=False, since=since, before=before, exact=exact, expected=expected)


Judge = Callable[[Facts], Verdict | None]
JUDGES: tuple[Judge, ...] = (
    _judge_parents,
    _judge_schedule,
    _judge_key,
    _judge_suspension,
    _judge_pause,
    _judge_workers,
    _judge_type,
    _judge_hold,
    _judge_rate,
    _judge_turn,
)


def _measure_waiting(facts: Facts) -> float:
    """Return for how many seconds its queue has had jobs that wait, as far as the list shows."""
    times = [time for time in (facts.found["first_at"], facts.job.get("enqueued_at")) if time]
    moments = [moment for moment in map(_read_time, times) if moment is not None]
    return max(0.0, facts.now - min(moments)) if moments else 0.0


def _add_before(said: str, before: int, about: str = "") -> str:
    return f"{said}, {about}{before:,} {'job is' if before == 1 else 'jobs are'} before it" if before else said


def _name(jobs: list[LinkedJob]) -> str:
    """Return the first of them, each with its status, and how many more there are."""
    named = ", ".join(f"{job.id} ({job.status or 'gone'})" for job in jobs[:NAMED]) or "none that is known"
    return f"{named} and {len(jobs) - NAMED} more" if len(jobs) > NAMED else named


def _read_json(stored: str | None) -> dict[str, Any]:
    try:
        found = json.loads(stored or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read_time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_span(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"about {seconds / size:,.0f} {unit}"
    return f"about {seconds:.0f} s"
