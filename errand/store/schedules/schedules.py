"""The schedules in Redis, as the API asks for them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.redis.memory import MemoryGuard
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.schedules.schedule import NEVER, Schedule, build_run, note_run, read_schedule, write_time

NEXT_SHOWN = 5  # next runs of a schedule that are shown
PAGE = 500  # schedules a call: the server does nothing else meanwhile
TRIES = 5  # where somebody else changes the schedule meanwhile: more is a program that does so all the time
LISTED = ("definition", "source", "paused", "created_at", "updated_at")


class OwnedByFileError(Exception):
    """Raised when a schedule is a job file's and can't be changed or deleted from outside."""


class DamagedScheduleError(Exception):
    """Raised when a schedule's record can't be read."""


class StillBusyError(Exception):
    """Raised when a schedule is not run since its last job has not ended, and it is to skip then."""

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"job {job_id} of it has not ended, its status is {status}")
        self.job_id, self.status = job_id, status


class TypeGoneError(Exception):
    """Raised when a schedule's job type no longer exists; the text is its name."""


@dataclass(frozen=True)
class Run:
    """An occurrence that has passed, or a run by hand (no `slot`). `job_id` is None where the occurrence gave none.

    `status` is RQ's word for the job; `deleted` where somebody deleted it before its end; without a job skipped, missed
    or refused, and `detail` says why. Times are RFC 3339, UTC.
    """

    slot: str | None
    at: str
    job_id: str | None
    status: str
    detail: str | None


@dataclass(frozen=True)
class StoredSchedule:
    """A schedule as it is now. `next_runs` are five at most, and none while it is paused."""

    schedule: Schedule
    source: str
    paused: bool
    created_at: str
    updated_at: str
    token: str
    next_runs: list[str]
    runs: list[Run]


class Schedules:
    """Stores and reads schedules over one asynchronous client. Every method may raise RedisError."""

    def __init__(
        self, redis: Redis, builder: CallBuilder, memory: MemoryGuard, types: dict[str, Job[..., Any]]
    ) -> None:
        self._redis, self._builder, self._memory, self._types = redis, builder, memory, types
        names = ("schedules/put", "schedules/list", "schedules/read", "schedules/change", "schedules/run_by_hand")
        scripts = (redis.register_script(read_script(name)) for name in names)
        self._put, self._list, self._read, self._change, self._run = scripts

    async def put(self, schedule: Schedule) -> bool:
        """Store it under its name; return whether it is new. One that is there with the same content stays as it is.

        Raises OwnedByFileError, CronError, ZoneError, FullRedisError.
        """
        await self._memory.check()
        now: int = (await self._redis.time())[0]
        request = {"source": "http", "token": str(uuid4()), "now": write_time(now), "only": False}
        (answer,) = await self._put(args=[json.dumps(request | {"schedules": [schedule.describe(now)]})])
        if answer == -1:
            raise OwnedByFileError
        return bool(answer)

    async def list(self) -> list[StoredSchedule]:
        """Return all of them by name, without payloads, each with its next and its last run alone."""
        found: list[StoredSchedule] = []
        names: list[Any] = await self._redis.zrange(keys.SCHEDULES, 0, -1)
        for first in range(0, len(names), PAGE):
            found += _build_all(await self._list(args=names[first : first + PAGE]))
        return sorted(found, key=lambda one: one.schedule.name)

    async def read(self, name: str) -> StoredSchedule | None:
        """Return a schedule with its next and its last runs, None where there is none. Raises DamagedScheduleError."""
        answer = await self._read(args=[name])
        if not answer:
            return None
        values, score, runs, fates = answer
        fields = {key.decode(): value.decode() for key, value in zip(values[::2], values[1::2], strict=True)}
        pairs = zip(runs, fates, strict=True)
        return _build(name, fields, score.decode(), NEXT_SHOWN, [_read_run(*pair) for pair in pairs])

    async def delete(self, name: str) -> bool:
        """Forget it and its runs, but not their jobs; return whether it was there. Raises OwnedByFileError."""
        answer = await self._change(args=["delete", name])
        if answer == b"file":
            raise OwnedByFileError
        return bool(answer)

    async def pause(self, name: str) -> bool:
        """Let its occurrences pass until it is resumed; return whether it is there."""
        return bool(await self._change(args=["pause", name]))

    async def resume(self, name: str) -> bool:
        """Let it go on with the next occurrence from now; return whether it is there."""
        for _ in range(TRIES):
            if not (found := await self.read(name)):
                return False
            now: int = (await self._redis.time())[0]
            occurrence = found.schedule.rhythm.after(now)
            answer = await self._change(args=["resume", name, found.token, NEVER if occurrence is None else occurrence])
            if answer != b"changed":
                return bool(answer)
        raise TimeoutError("the schedule is changed all the time")

    async def run(self, name: str) -> tuple[NewJob, str] | None:
        """Store a job of it at once, paused or not; return it and its status, None where there is no such schedule.

        Raises TypeGoneError, StillBusyError where it skips what overlaps and its last job has not ended, and
        FullRedisError.
        """
        await self._memory.check()
        for _ in range(TRIES):
            if not (found := await self.read(name)):
                return None
            schedule = found.schedule
            if schedule.type not in self._types:
                raise TypeGoneError(schedule.type)
            now = self._builder.clock.moment()
            job = replace(schedule.build_job(self._types[schedule.type]), created_at=now)
            run = note_run(now.timestamp(), "", None, job.id)
            keys, args = build_run(self._builder, schedule, found.token, job, run)
            answer = await self._run(keys=keys, args=args)
            if isinstance(answer, list):
                raise StillBusyError(*(part.decode() for part in answer[1:]))
            if answer:
                return job, answer.decode()
        raise TimeoutError("the schedule is changed all the time")


def _build_all(answer: Sequence[bytes]) -> Iterator[StoredSchedule]:
    """Yield the schedules that the script lists, but for those that can't be read."""
    width = len(LISTED) + 4
    for at in range(0, len(answer), width):
        name, score, *values = (value.decode(errors="replace") for value in answer[at : at + width])
        fields = dict(zip(LISTED, values, strict=False))
        run, fate = answer[at + width - 2 : at + width]
        with suppress(DamagedScheduleError):
            yield _build(name, fields, score, 1, [_read_run(run, fate)] if run else [])


def _build(name: str, fields: dict[str, str], score: str, shown: int, runs: list[Run] | None = None) -> StoredSchedule:
    occurrences = [] if score in (NEVER, "inf") else [int(float(score))]
    try:
        schedule = read_schedule(name, fields["definition"], fields.get("payload", "{}"))
        rhythm = schedule.rhythm
    except (ValueError, TypeError, KeyError):
        raise DamagedScheduleError from None
    while occurrences and len(occurrences) < shown and (occurrence := rhythm.after(occurrences[-1])) is not None:
        occurrences.append(occurrence)
    return StoredSchedule(
        schedule,
        fields["source"],
        fields.get("paused") == "1",
        fields["created_at"],
        fields["updated_at"],
        fields.get("token", ""),
        [write_time(occurrence) for occurrence in occurrences],
        runs or [],
    )


def _read_run(stored: bytes, fate: bytes) -> Run:
    try:
        run = {"at": "", **json.loads(stored)}
    except (ValueError, TypeError):
        run = {"at": "", "detail": "its record can't be read"}
    slot, status = run.get("slot"), fate.decode() or run.get("status", "")
    return Run(None if slot is None else write_time(slot), run["at"], run.get("job"), status, run.get("detail"))
