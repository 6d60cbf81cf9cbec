"""What our worker leaves in Redis is what RQ's own SimpleWorker leaves: every key, type, field and lifetime."""

import json
import re
import sys
import zlib
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Repeat, Retry
from rq.group import Group
from rq.job import Dependency
from rq.rate_limit import RateLimit

from tests.support.services import Services

Enqueue = Callable[[Queue, str], Any]
FAIL, ECHO = "jobs.fail.run.perform", "jobs.echo.run.perform"


def enqueue(queue: Queue, function: str, kwargs: dict[str, Any], number: int = 1, **options: Any) -> Any:
    return queue.enqueue_call(function, kwargs=kwargs, job_id=f"job{number}", description="x", **options)


def echo(queue: Queue, number: int = 1, **options: Any) -> Any:
    return enqueue(queue, ECHO, {"value": {"a": number}}, number, **options)


def fail(queue: Queue, ledger: str, number: int = 1, **options: Any) -> Any:
    return enqueue(queue, FAIL, {"ledger": ledger}, number, **options)


def repeat(queue: Queue, ledger: str) -> None:
    queue.enqueue(ECHO, job_id="job1", description="x", repeat=Repeat(times=1, interval=60))


def group(queue: Queue, ledger: str) -> None:
    jobs = [Queue.prepare_data(ECHO, job_id=f"job{number}", description="x") for number in (1, 2)]
    Group.create(connection=queue.connection, name="g").enqueue_many(queue, jobs)


def limited(queue: Queue, ledger: str) -> None:
    for number in (1, 2):
        queue.enqueue(ECHO, job_id=f"job{number}", description="x", rate_limit=RateLimit("k", 1))


CASES: dict[str, Enqueue] = {
    "a result": lambda queue, _: echo(queue),
    "no result": lambda queue, _: enqueue(queue, ECHO, {}),
    "its own lifetime": lambda queue, _: echo(queue, result_ttl=77),
    "a result kept for ever": lambda queue, _: echo(queue, result_ttl=-1),
    "a result not kept": lambda queue, _: echo(queue, result_ttl=0),
    "a failure": lambda queue, ledger: fail(queue, ledger),
    "a failure kept for ever": lambda queue, ledger: fail(queue, ledger, failure_ttl=-1),
    "a failure kept for a while": lambda queue, ledger: fail(queue, ledger, failure_ttl=99),
    "a retry that waits": lambda queue, ledger: fail(queue, ledger, retry=Retry(3, [60, 120, 180])),
    "retries at once": lambda queue, ledger: fail(queue, ledger, retry=Retry(2)),
    "retries at the front": lambda queue, ledger: (
        fail(queue, ledger, retry=Retry(1, enqueue_at_front=True)),
        echo(queue, 2),
    ),
    "a permanent error": lambda queue, ledger: enqueue(
        queue, FAIL, {"ledger": ledger, "permanent": True}, retry=Retry(3, 60)
    ),
    "a wrong payload": lambda queue, _: enqueue(queue, ECHO, {"size": "large"}),
    "a dependent": lambda queue, _: echo(queue, 2, depends_on=echo(queue)),
    "a dependent of two": lambda queue, _: echo(queue, 3, depends_on=[echo(queue), echo(queue, 2)]),
    "a dependent that allows failure": lambda queue, ledger: echo(
        queue, 2, depends_on=Dependency(fail(queue, ledger), allow_failure=True)
    ),
    "a dependent at the front": lambda queue, _: echo(
        queue, 2, depends_on=Dependency(echo(queue), enqueue_at_front=True)
    ),
    "many": lambda queue, _: [echo(queue, number) for number in range(30)],
    "a scheduled one": lambda queue, _: queue.enqueue_in(timedelta(days=1), ECHO, job_id="job1", description="x"),
    "a repeat": repeat,
    "a group": group,
    "a rate limit": limited,
}

TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")
OURS = re.compile(rb"errand:|rq:clean_registries|rq:scheduler-lock|rq:maintenance|rq:groups:|rq:pubsub")


@pytest.mark.quick("a wrong payload")
@pytest.mark.parametrize("case", CASES)
def test_the_records_are_the_same(services: Services, redis: Redis, tmp_path: Path, case: str) -> None:
    found = []
    for number, command in enumerate((SIMPLE, None)):
        redis.flushall()
        CASES[case](Queue("default", connection=redis, serializer="json"), str(tmp_path / f"ledger{number}"))
        worker = services.run(*command) if command else services.start_worker("--burst", "default", WORKER_THREADS="1")
        assert worker.wait(30) == 0, services.read_log(worker)
        found.append(describe(redis))
        assert not redis.exists("errand:leases")
    assert found[1] == found[0]


CLEANED = (b"rq:rl-keys", b"rq:rl:k")  # by RQ's maintenance, which comes before the jobs or after them
SIMPLE = [sys.executable, "-m", "rq.cli", "worker", "-S", "json", "-w", "rq.SimpleWorker", "--burst", "default"]


def describe(redis: Redis) -> dict[str, Any]:
    """Return all that is in Redis, with times, names of workers and ids of executions made alike."""
    return {
        _mask(key): (redis.type(key), _read_ttl(redis, key), _read(redis, key))
        for key in redis.scan_iter()
        if not OURS.match(key) and key not in CLEANED
    }


def _mask(text: bytes) -> str:
    text = re.sub(rb"(rq:worker:)[^:]+", rb"\1W", text)
    return text.decode("latin-1")


class Near(float):
    """A number of seconds that equals what a run of some seconds later gives."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and (float(self) == float(other) or abs(self - other) < 60)

    __hash__ = float.__hash__


def _read_ttl(redis: Redis, key: bytes) -> float:
    seconds = redis.ttl(key)
    return Near(seconds) if seconds > 0 else float(seconds - 1000)  # one without a lifetime is near none that has one


def _read(redis: Any, key: bytes) -> Any:
    kind = redis.type(key)
    if kind == b"hash":
        return {name: _alike(name, value) for name, value in redis.hgetall(key).items() if not _is_own(key, name)}
    if kind == b"zset":
        return {_mask(name): Near(score) for name, score in redis.zrange(key, 0, -1, withscores=True)}
    if kind == b"list":
        return redis.lrange(key, 0, -1)
    if kind == b"set":
        return {_mask(name) for name in redis.smembers(key)}
    if kind == b"stream":
        return [{name: _alike(name, value) for name, value in entry.items()} for _, entry in redis.xrange(key)]
    return redis.get(key)


def _is_own(key: bytes, name: bytes) -> bool:
    """Return whether a field is about the worker's own process."""
    return key.startswith(b"rq:worker:") and name in (b"pid", b"ip_address", b"state")


def _alike(name: bytes, value: bytes) -> Any:
    if name in (b"worker_name", b"execution_id", b"total_working_time") or name.startswith(b"execution_"):
        return bool(value)
    if name == b"exc_string":
        return zlib.decompress(b64decode(value)).decode().strip().rpartition("\n")[2]
    if name == b"data":
        return re.sub(rb"ledger\d", b"ledger", zlib.decompress(value))
    if name == b"errand_progress":
        return {**json.loads(value), "updated_at": ""}
    return TIME.sub(b"T", value)
