"""What the worker writes in Redis: RQ's records and our leases, each step one script."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from redis import Redis, RedisError

from errand.contract.bodies import MARK_BYTES
from errand.redis import keys
from errand.redis.clock import Clock
from errand.redis.lua.loader import Value, assemble, read_script
from errand.store.observe.bounded import TooLargeError, unpack
from errand.worker.count_tags import tag_end
from errand.worker.execution import Execution, JobTimes
from errand.worker.leases import Leases, read_pairs, read_text, read_timeout
from errand.worker.report import Report
from errand.worker.served import ServedQueues

Expired = tuple[str, str, int]


class Asking(Enum):
    """What an exchange asks for, after the reply to the one before it."""

    FIRST = 0  # the reply came: jobs
    AGAIN = 1  # it did not: the jobs that were taken then; where there are none, others
    WHAT_WAS_TAKEN = 2  # it did not, and the runner takes no more: the jobs that were taken then, and no others


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an exchange brought: an answer to each report, and executions of the jobs that it took.

    `quarantined` are the ids of jobs whose records are damaged, and the reasons; `expired` are queue, type, how many.
    `wait_seconds` says when a job may start that its type's rate holds back now; None where there is none.
    """

    answers: list[str]
    executions: list[Execution]
    quarantined: list[tuple[str, str]]
    wait_seconds: float | None
    expired: list[Expired] = field(default_factory=list)


class Expiry(NamedTuple):
    """What one step of canceling expired jobs brought: whether there may be more, and how many stay, as they run."""

    more: bool
    left: int
    expired: list[Expired]
    quarantined: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds: of a lease, of jobs that ended and don't say it themselves, of the worker's record in RQ."""

    lease_seconds: float
    result_seconds: int
    failure_seconds: int
    worker_seconds: int


class Records:
    """The worker's scripts, as one process of the worker `name` calls them; those of leases are in `leases`.

    `ending` are values for the scripts that end jobs. `codes` are the types that the worker has, with the hashes of
    their code; without them it takes any. `services` are, for types that name what their jobs work with, hashes of
    that. `clock` is the process' own, which is set from here. Every method may raise RedisError.
    """

    def __init__(
        self,
        redis: Redis,
        name: str,
        lifetimes: Lifetimes,
        ending: Mapping[str, Value] | None = None,
        codes: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        services: Mapping[str, str] | None = None,
    ) -> None:
        self.redis = redis
        self.clock = clock or Clock()
        self._name = name
        self._lifetimes = lifetimes
        self._codes = codes
        self._known_types = "" if codes is None else _write_codes(codes, services or {})
        steps = ("worker/exchange", "worker/orphans", "worker/expire", "store/settle_dependents")
        scripts = (redis.register_script(assemble(step, ending)) for step in steps)
        self._exchange, self._orphans, self._expire, self._settle = scripts
        self.leases = Leases(redis, self.clock, self._head, lifetimes.worker_seconds, ending)
        self._let_go = redis.register_script(read_script("bodies/release"))

    def exchange(
        self,
        reports: Sequence[Report],
        execution_ids: Sequence[str] = (),
        queues: ServedQueues | None = None,
        asking: Asking = Asking.FIRST,
    ) -> Exchange:
        """Record `reports` and take a job for each of `execution_ids`, which are new, as far as there are jobs."""
        head = self._head()
        now, asked_at = float(head[3]), time.monotonic()
        args: list[Any] = [*head, self._known_types, len(reports)]
        for report in reports:
            args += _write_report(report, self._codes)
        served = queues or ServedQueues([], in_turn=False)
        args += [len(execution_ids), asking.value, int(served.in_turn), served.first, len(served.names)]
        args += [*served.names, *execution_ids, *served.rates]
        answers, taken, quarantined, wait_ms, at_us, expired = self._exchange(args=args)
        self.clock.note(at_us, asked_at)
        self._release_bodies(reports, answers)
        return Exchange(
            [answer.decode() for answer in answers],
            [_read_execution(fields, now, asked_at) for fields in taken],
            _read_quarantined(quarantined),
            None if wait_ms < 0 else wait_ms / 1000,
            _read_expired(expired),
        )

    def _release_bodies(self, reports: Sequence[Report], answers: Sequence[bytes]) -> None:
        """Let jobs that have finished go of what lies outside of them; where it can't be now, maintenance does it."""
        ended = zip(reports, answers, strict=True)
        ids = [
            report.execution.job_id
            for report, answer in ended
            if answer == b"finished" and MARK_BYTES in report.execution.data
        ]
        if ids:
            with suppress(RedisError):
                self._let_go(args=ids)

    def settle_orphans(self, queue: str, first: int, most: int) -> tuple[int, int]:
        """Settle orphans, deferred jobs whose parents have ended, `most` of a queue from the one at `first` on.

        Return how many were looked at, none where there is no more, and how many of them no longer wait. Fewer than
        `most` are looked at where they wait for very many others.
        """
        seen, gone = self._orphans(args=[*self._head(), queue, first, most])
        return seen, gone

    def settle(self) -> bool:
        """Settle some of the dependents that ends of jobs have left to maintenance; return whether there are more."""
        return bool(self._settle(args=[self._lifetimes.failure_seconds]))

    def expire(self, first: int, most: int, most_searched: int) -> Expiry:
        """Cancel jobs that have expired, `most` of them from the one at `first` on.

        `most_searched` places of queues' lists are looked at for them, about.
        """
        more, left, expired, quarantined = self._expire(args=[*self._head(), first, most, most_searched])
        return Expiry(bool(more), left, _read_expired(expired), _read_quarantined(quarantined))

    def _head(self) -> list[Any]:
        self.clock.ask(self.redis)
        now, times = self.clock.now(), self._lifetimes
        return [
            self._name,
            int(times.lease_seconds * 1000),
            format_time(now),
            repr(now),
            times.result_seconds,
            times.failure_seconds,
        ]


def format_time(seconds: float) -> str:
    """Return a time as RQ keeps it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def _write_codes(codes: Mapping[str, str], services: Mapping[str, str]) -> str:
    """Return types with the hashes of their code and of what they work with, as the scripts look for them."""
    marks = {type: f"@{service}" for type, service in services.items()}
    return "".join(f" {type}={code}{marks.get(type, '')}" for type, code in codes.items()) or " "


def _write_report(report: Report, codes: Mapping[str, str] | None) -> list[Any]:
    execution = report.execution
    head = [report.kind, execution.job_id, execution.id, execution.queue]
    times = [format_time(report.ended), repr(execution.started), repr(report.ended)]
    if report.kind == "progress":
        return [*head, *times, report.value, "", 0]
    tag, wait_us = tag_end(execution, report.ended, codes)
    if report.kind == "finished":
        return [*head, *times, report.value, tag, wait_us]
    return [*head, *times, report.value, f"{tag}\n{wait_us}\n{report.frame}\n{report.error}", report.delay_seconds]


def _read_execution(fields: list[bytes], started: float, taken_at: float) -> Execution:
    job_id, id, queue, data, timeout, result_ttl, failure_ttl, description, losses, callback = fields[:10]
    created_at, enqueued_at, attempt, *more = fields[10:]
    payload, damage = _read_data(data)
    return Execution(
        job_id.decode(),
        id.decode(),
        queue.decode(),
        payload,
        read_timeout(timeout),
        result_ttl.decode(),
        failure_ttl.decode(),
        description.decode(errors="replace"),
        int(losses),
        callback.decode(errors="replace"),
        started,
        taken_at,
        JobTimes(
            created_at.decode(errors="replace"),
            enqueued_at.decode(errors="replace"),
            float(more[0]) / 1000 if more else None,
        ),
        int(attempt),
        damage,
    )


def _read_data(stored: bytes) -> tuple[bytes, str]:
    """Return a payload, and why it can't be had, "" where it can.

    It is done here and not in the job's thread: zlib releases the GIL, and one thread of many waits to get it back.
    """
    try:
        return unpack(stored, keys.DATA_BYTES), ""
    except TooLargeError as error:
        return b"", f"its payload is {error}"


def _read_quarantined(found: list[list[bytes]]) -> list[tuple[str, str]]:
    return read_pairs([text for pair in found for text in pair])


def _read_expired(found: list[Any]) -> list[Expired]:
    return [(read_text(queue), read_text(type), count) for queue, type, count in found]
