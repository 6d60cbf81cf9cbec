"""Steps over the worker's scripts, for tests that call them directly."""

import json
import time
from typing import Any

from redis import Redis
from rq import Queue

from errand.worker.execution import Execution
from errand.worker.records import Asking, Exchange, Lifetimes, Records
from errand.worker.report import Report
from errand.worker.served import ServedQueues

LIFETIMES = Lifetimes(lease_seconds=10, result_seconds=500, failure_seconds=1000, worker_seconds=60)
ECHO = "jobs.echo.run.perform"


def build_records(redis: Redis, name: str = "one") -> Records:
    """Return the records of a worker that RQ knows."""
    redis.hset(f"rq:worker:{name}", "state", "idle")
    return Records(redis, name, LIFETIMES)


def enqueue(queue: Queue, count: int = 1, **options: Any) -> list[str]:
    """Enqueue some jobs as RQ does; return their ids."""
    return [queue.enqueue_call(ECHO, description="x", **options).id for _ in range(count)]


def ask(
    records: Records,
    executions: list[str],
    asking: Asking = Asking.FIRST,
    names: tuple[str, ...] = ("default",),
    in_turn: bool = False,
    first: int = 1,
) -> Exchange:
    """Ask for a job for each execution."""
    return records.exchange([], executions, ServedQueues(list(names), in_turn, first), asking)


def take(records: Records, count: int = 1, prefix: str = "e") -> list[Execution]:
    """Take so many jobs; their executions are the prefix and a number."""
    return ask(records, [f"{prefix}{number}" for number in range(count)]).executions


def send_report(records: Records, kind: str, execution: Execution, value: str = "", delay_seconds: float = 0.0) -> str:
    """Send one report of an execution; return the answer."""
    error = json.dumps({"type": "ValueError", "message": "no"})
    (answer,) = records.exchange([Report(kind, execution, value, error, delay_seconds, time.time())]).answers
    return answer


def read(redis: Redis, id: str, *names: str) -> list[bytes | None]:
    """Return fields of a job."""
    found: list[Any] = redis.hmget(f"rq:job:{id}", names)
    return found


def end_leases(redis: Redis) -> None:
    """Let every lease be over."""
    leases: list[Any] = redis.zrange("errand:leases", 0, -1)
    for member in leases:
        redis.zadd("errand:leases", {member: 1})


def list_held(redis: Redis) -> list[bytes]:
    """Return the keys that hold executions: there are none when all have ended."""
    patterns = ("rq:wip:*", "rq:execution*", "rq:worker:*:executions", "errand:leases")
    found: list[Any] = [key for pattern in patterns for key in redis.keys(pattern)]
    return found
