"""The schedules, as a worker serves them: any number of workers may, each slot gives one job."""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.exceptions import ResponseError

from errand.contract.job import Job
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import read_script
from errand.redis.memory import FullRedisError, Memory
from errand.store.fields import CallBuilder
from errand.store.new_job import NewJob
from errand.store.schedules.schedule import (
    NEVER,
    Schedule,
    build_run,
    is_busy,
    note_run,
    read_schedule,
    schedule_file,
    write_time,
)
from errand.store.schedules.slots import Step, plan
from errand.store.settings import LifetimeSettings

MOST_AT_ONCE = 20
ROUND_SECONDS = 0.25  # the supervisor has leases to renew
TELL_SECONDS = 60  # how late a slot is that no worker takes, before the log says so, and how often it does
logger = logging.getLogger("errand.worker")


@dataclass(frozen=True)
class Due:
    """A schedule with a slot that is due; `last_job` is '' where its last slot's job has ended."""

    schedule: Schedule
    slot: int
    token: str
    last_job: str


class DueSchedules:
    """Gives the jobs of the slots that are due, and tells Redis the job files' own schedules."""

    def __init__(
        self, redis: Redis, settings: LifetimeSettings, types: dict[str, Job[..., Any]], clock: Clock | None = None
    ) -> None:
        self._redis, self._types = redis, types
        self._builder = CallBuilder(settings, types, clock)
        steps = ("due", "put", "run")
        self._look, self._put, self._run = (redis.register_script(read_script(f"schedules/{step}")) for step in steps)
        self._are_files_told = False
        self._told_at: dict[str, float] = {}  # by the name of a schedule whose type this worker lacks

    def tell_files_again(self) -> None:
        """Let the next round begin with the job files' schedules: Redis may have lost them."""
        self._are_files_told = False

    def run(self) -> None:
        """Serve what is due, for a quarter of a second at most; the rest has its turn later. Raises RedisError."""
        if not self._are_files_told:
            self._tell_files()
        deadline = time.monotonic() + ROUND_SECONDS
        is_moving, is_checked, skipped = True, False, 0
        while is_moving and time.monotonic() < deadline:
            answer = self._look(args=[MOST_AT_ONCE, skipped])
            if not answer or not (is_checked or self._has_room()):
                return
            is_checked = True
            served = [self._serve(found, int(answer[0])) for found in answer[1:]]
            skipped += served.count(False)  # what waits for another worker holds up nobody
            is_moving = any(served) or len(served) == MOST_AT_ONCE

    def _tell_files(self) -> None:
        """Store the schedules of the job files; those whose line has gone go, too, but for types of other workers."""
        now = int(self._redis.time()[0])
        own = [schedule.describe(now) for job in self._types.values() if (schedule := schedule_file(job))]
        request = {"source": "file", "token": str(uuid4()), "now": write_time(now), "only": True, "schedules": own}
        request["types"] = list(self._types)
        self._put(args=[json.dumps(request)])
        self._are_files_told = True

    def _has_room(self) -> bool:
        """Return whether jobs may be stored; what is due waits where Redis is nearly full."""
        info: dict[str, Any] = self._redis.info("memory")
        used = info["used_memory"] - info.get("mem_not_counted_for_evict", 0)
        try:
            Memory(used, info.get("maxmemory", 0)).check()
        except FullRedisError:
            return False
        return True

    def _serve(self, found: list[bytes], now: int) -> bool:
        """Do what is due for one schedule; return whether it was done. A damaged one must not hold up the others."""
        name = found[0].decode(errors="replace")
        try:
            return self._advance(_read_due(found), now)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            self._set_aside(found[0], name, error)
        except (ValueError, TypeError, KeyError) as error:
            self._set_aside(found[0], name, error)
        return True

    def _set_aside(self, member: bytes, name: str, error: Exception) -> None:
        logger.error("Schedule %s can't be read (%s) and has stopped; store it again", name, error)
        self._redis.zadd(keys.SCHEDULES, {member: NEVER}, xx=True)

    def _advance(self, due: Due, now: int) -> bool:
        type = self._types.get(due.schedule.type)
        if type is None:
            self._leave(due, now)
            return False
        step = plan(due.schedule.rhythm, due.slot, now, due.schedule.catch_up)
        job, runs = self._decide(due, step, type, now)
        keys, args = build_run(self._builder, due.schedule, due.token, job, runs, due.slot, step.next)
        answer = self._run(keys=keys, args=args)
        return not isinstance(answer, list)  # the job that it should wait for has just expired: once more, later

    def _leave(self, due: Due, now: int) -> None:
        """Leave a slot to a worker that has its type."""
        name = due.schedule.name
        if now - due.slot < TELL_SECONDS or time.monotonic() - self._told_at.get(name, float("-inf")) < TELL_SECONDS:
            return
        self._told_at[name] = time.monotonic()
        self._are_files_told = False  # it may be a file's whose last worker has gone
        logger.warning("Schedule %s waits for a worker that knows its type, %s", name, due.schedule.type)

    def _decide(self, due: Due, step: Step, type: Job[..., Any], now: int) -> tuple[NewJob | None, list[str]]:
        """Return the job to store, if any, and what is noted of the slots that pass now."""
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
        job = due.schedule.build_job(type, step.run, due.last_job)
        return job, [*runs, note_run(now, "", step.run, job.id)]


def _read_due(found: list[bytes]) -> Due:
    if len(found) == 1:
        raise ValueError("its record is damaged or gone")
    name, slot, definition, payload, token, _, last_job, status = (text.decode() for text in found)
    schedule = read_schedule(name, definition, payload)
    return Due(schedule, int(float(slot)), token, last_job if is_busy(status) else "")
