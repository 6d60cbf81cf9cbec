"""A schedule: what it runs and when, and the one step in which an occurrence becomes a job."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from errand.contract.cron import Cron
from errand.contract.job import Job
from errand.redis.keys import FILE_PREFIX
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.schedules.occurrences import CatchUp, Every, Overlap, Rhythm
from errand.store.status import ENDED

NAMESPACE = UUID("8f0a1a3e-4f0b-5d0e-9f6b-0d1c1a5c7e21")  # changing it would run occurrences again that have run
RUNS_KEPT = 50  # of a schedule: two days of hourly ones
NEVER = "+inf"


@dataclass(frozen=True)
class Schedule:
    """What is asked for: a job of `type` for each occurrence of `cron` in `timezone`, or of every so many seconds.

    `payload` is as stored for the job. `overlap` says what becomes of an occurrence while the job of the last
    one has not ended: skip it, or queue a job that waits for that end. Its rhythm raises CronError and ZoneError.
    """

    name: str
    type: str
    payload: dict[str, Any]
    cron: str | None = None
    every_seconds: int | None = None
    timezone: str = "UTC"
    catch_up: CatchUp = "last"
    overlap: Overlap = "queue"

    @cached_property
    def rhythm(self) -> Rhythm:
        """When its occurrences come."""
        return Every(self.every_seconds) if self.every_seconds else Cron(self.cron or "", self.timezone)

    @property
    def batch(self) -> str:
        """The id of the record in which its last runs' jobs note how they ended."""
        return str(uuid5(NAMESPACE, self.name))

    def describe(self, now: int) -> dict[str, str]:
        """Return what is stored; its next occurrence is the first one after `now`."""
        definition = {name: value for name, value in asdict(self).items() if name not in ("name", "payload")}
        return {
            "name": self.name,
            "batch": self.batch,
            "type": self.type,
            "definition": json.dumps(definition, sort_keys=True),
            "payload": json.dumps(self.payload, sort_keys=True),
            "next": write_occurrence(self.rhythm.after(now)),
        }

    def derive_id(self, occurrence: int) -> str:
        """Return the id of an occurrence's job, whatever the schedule says at the time."""
        return str(uuid5(NAMESPACE, f"{self.name} {occurrence}"))

    def build_job(self, type: Job[..., Any], occurrence: int | None = None, after: str | None = None) -> NewJob:
        """Return the job of an occurrence, or of a run by hand; it runs once the job `after` has ended, well or not."""
        more: dict[str, Any] = {} if occurrence is None else {"id": self.derive_id(occurrence)}
        if after:
            more |= {"after": (after,), "on_failure": "run"}
        return NewJob(type, self.payload, batch=self.batch, tags=(f"schedule:{self.name}",), **more)


def read_schedule(name: str, definition: bytes | str, payload: bytes | str) -> Schedule:
    """Return a schedule as `describe` stored it. Raises ValueError and TypeError for a damaged one."""
    return Schedule(name=name, payload=json.loads(payload), **json.loads(definition))


def schedule_file(job: Job[..., Any]) -> Schedule | None:
    """Return the schedule that a job's file carries, None where it carries none."""
    if job.cron is None:
        return None
    cron = job.cron
    return Schedule(FILE_PREFIX + job.type, job.type, job.payload.bind(), cron.expression, timezone=cron.timezone)


def note_run(now: float, status: str, occurrence: int | None, job: str | None = None, detail: str | None = None) -> str:
    """Return a run as it is kept; `status` is what became of the occurrence where it has no job."""
    noted = {"slot": occurrence, "at": write_time(now), "job": job, "detail": detail}
    noted["status"] = None if job else status
    return json.dumps({name: value for name, value in noted.items() if value is not None})


def build_run(
    builder: CallBuilder, schedule: Schedule, token: str, job: NewJob, run: str
) -> tuple[list[str], list[str | bytes | int]]:
    """Return the keys and arguments of the script that stores a run by hand.

    With `overlap: skip` that is one of its jobs: it gives way to the last one, and the next occurrence to it.
    """
    request = {"name": schedule.name, "token": token, "run": run, "job": job.id, "kept": RUNS_KEPT}
    keys, args = builder.build([job])
    return keys, [json.dumps(request | {"skip": schedule.overlap == "skip"}), *args]


@dataclass(frozen=True)
class ServedOccurrence:
    """An occurrence that is due, as the script serves it.

    `token` is the schedule's as it was read, `runs` are noted, oldest first, and `job` is stored, if there is one.
    """

    schedule: Schedule
    token: str
    occurrence: int
    next: int | None
    runs: list[str]
    job: NewJob | None

    def describe(self) -> dict[str, Any]:
        """Return it for the script, but for the job's fields."""
        asked = {
            "name": self.schedule.name,
            "token": self.token,
            "occurrence": self.occurrence,
            "next": write_occurrence(self.next),
            "runs": self.runs,
            "kept": RUNS_KEPT,
        }
        if self.job is None:
            return asked
        return asked | {"job": self.job.id} | ({"after": self.job.after[0]} if self.job.after else {})


def build_occurrences(
    builder: CallBuilder, occurrences: Sequence[ServedOccurrence]
) -> tuple[list[str], list[str | bytes | int]]:
    """Return the keys and arguments of the script that serves occurrences of several schedules."""
    jobs = [one.job for one in occurrences if one.job]
    keys, args = builder.build(jobs) if jobs else ([], [])
    return keys, [json.dumps([one.describe() for one in occurrences]), *args]


def is_busy(status: str) -> bool:
    """Return whether a job of this status, '' where there is none, has not ended."""
    return bool(status) and status not in ENDED


def write_occurrence(occurrence: int | None) -> str:
    """Return an occurrence as the script takes it."""
    return NEVER if occurrence is None else str(occurrence)


def write_time(seconds: float) -> str:
    """Return a moment in RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
