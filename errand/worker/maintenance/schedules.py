"""The schedules, as a worker serves them: any number of workers may, each occurrence gives one job."""

import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis import Redis

from errand.contract.job import Job
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.redis.memory import FullRedisError, Memory
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.schedules.occurrences import LATE_SECONDS, Decision, decide
from errand.store.schedules.schedule import (
    NEVER,
    Schedule,
    ServedOccurrence,
    build_occurrences,
    is_busy,
    note_run,
    read_schedule,
    schedule_file,
    write_time,
)
from errand.store.settings import LifetimeSettings

MOST_AT_ONCE = 25  # occurrences that one script serves: it takes 2 to 5 ms, in which the server does nothing else
ROUND_SECONDS = 0.25  # the supervisor has leases to renew
LOG_SECONDS = 60  # how late an occurrence is that no worker takes before the log says so, and how often it does
DAMAGES = (ValueError, TypeError, KeyError)
logger = logging.getLogger("errand.worker")


@dataclass(frozen=True)
class DueSchedule:
    """A schedule with an occurrence that is due; `last_job` is '' where its last occurrence's job has ended."""

    schedule: Schedule
    occurrence: int
    token: str
    last_job: str


class DueSchedules:
    """Gives the jobs of the occurrences that are due, and stores the job files' own schedules."""

    def __init__(
        self, redis: Redis, settings: LifetimeSettings, types: dict[str, Job[..., Any]], clock: Clock | None = None
    ) -> None:
        self._redis, self._types = redis, types
        self._builder = CallBuilder(settings, types, clock)
        names = ("schedules/due", "schedules/put", "schedules/note_look", "schedules/store_due")
        scripts = (redis.register_script(read_script(name)) for name in names)
        self._find, self._put, self._look, self._serve = scripts
        self._are_files_stored = False
        self._logged_at: dict[str, float] = {}  # by the name of a schedule that waits
        self._passed_over = 0  # how many of those that are due longest a round has left where they are

    def store_files_again(self) -> None:
        """Let the next round begin with the job files' schedules: Redis may have lost them."""
        self._are_files_stored = False

    def run(self) -> bool:
        """Serve what is due, for a quarter of a second at most; return whether there is more to be served at once.

        Raises RedisError.
        """
        if not self._are_files_stored:
            self._store_files()
        deadline = time.monotonic() + ROUND_SECONDS
        since: dict[str, int] = {}
        has_moved = False
        while answer := self._find(args=[MOST_AT_ONCE, self._passed_over]):
            if not since and not self._has_room():
                return False
            since = since or self._note_look()
            now, count, found = int(answer[0]), int(answer[1]), answer[2:]
            fates = list(self._serve_all(found, now, since))
            has_moved = has_moved or "served" in fates or "passed" in fates
            self._passed_over += fates.count("later")  # what waits for another worker holds up nobody
            # Another worker is at work in the same place.
            if "passed" in fates and count > self._passed_over + MOST_AT_ONCE:
                self._passed_over = random.randrange(self._passed_over, count)
            if time.monotonic() > deadline:
                return has_moved
        has_passed_over, self._passed_over = self._passed_over > 0, 0
        return has_moved and has_passed_over

    def _store_files(self) -> None:
        """Store the job files' schedules; delete those whose line has gone, but for types of other workers."""
        now = int(self._redis.time()[0])
        own = [schedule.describe(now) for job in self._types.values() if (schedule := schedule_file(job))]
        request = {"source": "file", "token": str(uuid4()), "now": write_time(now), "only": True, "schedules": own}
        request["types"] = list(self._types)
        self._put(args=[json.dumps(request)])
        self._are_files_stored = True

    def _has_room(self) -> bool:
        """Return whether jobs may be stored; what is due waits where Redis is nearly full."""
        info: dict[str, Any] = self._redis.info("memory")
        used = info["used_memory"] - info.get("mem_not_counted_for_evict", 0)
        try:
            Memory(used, info.get("maxmemory", 0)).check()
        except FullRedisError:
            return False
        return True

    def _note_look(self) -> dict[str, int]:
        """Note that a worker serves the schedules of its types; return for each since when that is so."""
        return dict(zip(self._types, map(int, self._look(args=[LATE_SECONDS, *self._types])), strict=True))

    def _serve_all(self, found: Sequence[list[bytes]], now: int, since: dict[str, int]) -> Iterator[str]:
        """Do what is due for some schedules; yield what became of each: served, passed, or later.

        Damaged ones are quarantined, and count as served; passed is what another worker was first with.
        """
        occurrences = []
        for one in found:
            try:
                due = _read_due(one)
                if due.schedule.type in self._types:
                    occurrences.append(self._decide(due, now, since[due.schedule.type]))
                else:
                    self._leave(due, now)
                    yield "later"
            except DAMAGES as error:
                self._quarantine(one[0], error)
                yield "served"
        if occurrences:
            yield from self._send(occurrences)

    def _send(self, occurrences: list[ServedOccurrence]) -> Iterator[str]:
        """Serve occurrences in one step; where one of them holds it up, each by itself."""
        try:
            names, args = build_occurrences(self._builder, occurrences)
            answers = [answer.decode(errors="replace") for answer in self._serve(keys=names, args=args)]
        except DAMAGES as error:
            if len(occurrences) == 1:
                self._quarantine(occurrences[0].schedule.name.encode(), error)
                yield "served"
                return
            answers = ["refused"]
        if answers[0] != "refused":
            for occurrence, answer in zip(occurrences, answers, strict=True):
                yield self._judge(occurrence, answer)
        elif len(occurrences) == 1:
            self._log_wait(occurrences[0].schedule.name, f"waits because its job can't be stored: {answers[1]}")
            yield "later"
        else:
            for occurrence in occurrences:
                yield from self._send([occurrence])

    def _judge(self, occurrence: ServedOccurrence, answer: str) -> str:
        fate, _, why = answer.partition(" ")
        if fate != "broken":
            return fate
        self._quarantine(occurrence.schedule.name.encode(), why)
        return "served"

    def _quarantine(self, member: bytes, why: Exception | str) -> None:
        """Stop a schedule whose record is damaged: it must not hold up the others."""
        name = member.decode(errors="replace")
        logger.error("Schedule %s can't be read (%s) and has stopped; store it again", name, why)
        self._redis.zadd(keys.SCHEDULES, {member: NEVER}, xx=True)

    def _leave(self, due: DueSchedule, now: int) -> None:
        """Leave an occurrence to a worker that has its type."""
        if now - due.occurrence < LOG_SECONDS:
            return
        if self._log_wait(due.schedule.name, f"waits for a worker that knows its type, {due.schedule.type}"):
            self._are_files_stored = False  # it may be a file's whose last worker has gone

    def _log_wait(self, name: str, what: str) -> bool:
        """Log why a schedule waits, once a minute; return whether it was logged now."""
        if time.monotonic() - self._logged_at.get(name, float("-inf")) < LOG_SECONDS:
            return False
        self._logged_at[name] = time.monotonic()
        logger.warning("Schedule %s %s", name, what)
        return True

    def _decide(self, due: DueSchedule, now: int, since: int) -> ServedOccurrence:
        """Return what is done about an occurrence: the job to store, if any, and the runs to note."""
        schedule = due.schedule
        step = decide(schedule.rhythm, due.occurrence, now, schedule.catch_up, since)
        job, runs = self._give(due, step, now)
        return ServedOccurrence(schedule, due.token, due.occurrence, step.next, runs, job)

    def _give(self, due: DueSchedule, step: Decision, now: int) -> tuple[NewJob | None, list[str]]:
        runs = []
        if step.missed:
            first, last = step.missed
            until = f", nor for those until {write_time(last)}" if last > first else ""
            runs.append(note_run(now, "missed", first, detail="no worker was there in time" + until))
        if step.run is None:
            return None, runs
        if due.last_job and due.schedule.overlap == "skip":
            detail = f"job {due.last_job} of an earlier run had not ended"
            return None, [*runs, note_run(now, "skipped", step.run, detail=detail)]
        job = due.schedule.build_job(self._types[due.schedule.type], step.run, due.last_job)
        return job, [*runs, note_run(now, "", step.run, job.id)]


def _read_due(found: list[bytes]) -> DueSchedule:
    if len(found) == 1:
        raise ValueError("its record is damaged or gone")
    name, occurrence, definition, payload, token, last_job, status = (text.decode() for text in found)
    schedule = read_schedule(name, definition, payload)
    return DueSchedule(schedule, int(float(occurrence)), token, last_job if is_busy(status) else "")
