"""What Redis holds at the end: each job, and what the worker should have left nowhere."""

import json
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from tests.chaos.account import ENDED, Stored
from tests.chaos.shapes import TRIES

PAGE = 500
FIELDS = (
    *("status", "description", "errand_error"),
    *("errand_attempts", "errand_interruptions", "errand_losses", "retries_left"),
    "ended_at",
)
ENDS = frozenset({b"1", b"2", b"3"})  # the types of RQ's results: successful, failed, stopped


def find_unended(redis: Any, ids: Iterable[str]) -> set[str]:
    """Return those that have not ended, the unknown among them. Raises RedisError."""
    unended = set()
    for page in _pages(ids):
        with redis.pipeline(transaction=False) as pipeline:
            for id in page:
                pipeline.hget(f"rq:job:{id}", "status")
            for id, status in zip(page, pipeline.execute(), strict=True):
                if not status or status.decode() not in ENDED:
                    unended.add(id)
    return unended


def read_jobs(redis: Any, ids: Iterable[str]) -> dict[str, Stored]:
    """Return what is stored of each job; those that are unknown are missing. Raises RedisError."""
    places = _read_places(redis)
    found = {}
    for page in _pages(ids):
        with redis.pipeline(transaction=False) as pipeline:
            for id in page:
                pipeline.hmget(f"rq:job:{id}", FIELDS)
                pipeline.xrange(f"rq:results:{id}")
            answers = iter(pipeline.execute())
            for id, values, results in zip(page, answers, answers, strict=False):
                if values[0]:
                    found[id] = _build(values, [result for _, result in results], tuple(places.get(id, ())))
    return found


def list_all(redis: Any) -> list[str]:
    """Return the ids of every job that is stored. Raises RedisError."""
    return [key.decode().removeprefix("rq:job:") for key in redis.scan_iter("rq:job:*", 1000, "HASH")]


def find_leftovers(redis: Any) -> dict[str, int]:
    """Return what should be empty once everything has ended, with its size. Raises RedisError."""
    sizes = {"errand:leases": redis.zcard("errand:leases")}
    for pattern in ("rq:wip:*", "rq:scheduled:*", "rq:deferred:*", "rq:worker:*:executions"):
        for key in redis.scan_iter(pattern, 1000, "ZSET"):
            sizes[key.decode()] = redis.zcard(key)
    for key in redis.smembers("rq:queues"):
        sizes[key.decode()] = redis.llen(key)
    sizes["errand:parked"] = redis.scard("errand:parked")
    sizes["rq:execution:*"] = sum(1 for _ in redis.scan_iter("rq:execution:*", 1000))
    return {key: size for key, size in sizes.items() if size}


def count_waiting(redis: Any) -> int:
    """Return how many jobs wait in the queues. Raises RedisError."""
    return sum(redis.llen(key) for key in redis.smembers("rq:queues"))


def _read_places(redis: Any) -> dict[str, list[str]]:
    """Return the lists and registries that hold each id; one that is twice in a list is there twice."""
    places: dict[str, list[str]] = defaultdict(list)
    for kind in ("finished", "failed", "canceled", "scheduled", "deferred", "wip"):
        for key in redis.scan_iter(f"rq:{kind}:*", 1000, "ZSET"):
            for member in redis.zrange(key, 0, -1):
                places[member.decode().partition(":")[0]].append(key.decode())
    for key in redis.smembers("rq:queues"):
        for member in redis.lrange(key, 0, -1):
            places[member.decode()].append(key.decode())
    return places


def _build(values: list[bytes | None], results: list[dict[bytes, bytes]], places: tuple[str, ...]) -> Stored:
    status, type, error, *counts, ended_at = (value.decode(errors="replace") if value else "" for value in values)
    attempts, interruptions, losses, retries_left = (int(count or 0) for count in counts)
    kind, message = _read_error(status, error, results)
    return Stored(
        status=status,
        error=kind,
        message=message[:200],
        attempts=attempts,
        interruptions=interruptions,
        losses=losses,
        retries=max(0, TRIES.get(type, 1) - 1 - retries_left),
        ends=sum(result.get(b"type") in ENDS for result in results),
        places=places,
        ended_at=datetime.fromisoformat(ended_at).timestamp() if ended_at else 0.0,
    )


def _read_error(status: str, error: str, results: list[dict[bytes, bytes]]) -> tuple[str, str]:
    if status != "failed":
        return "", ""
    if error:
        shown: dict[str, Any] = json.loads(error)
        return shown["type"], shown["message"]
    trace = results[-1].get(b"exc_string", b"") if results else b""
    try:
        last = zlib.decompress(b64decode(trace)).decode(errors="replace").strip().rpartition("\n")[2]
    except (zlib.error, Base64Error):
        last = "?"
    return last.partition(":")[0].rpartition(".")[2], last


def _pages(ids: Iterable[str]) -> Iterator[list[str]]:
    known = list(ids)
    return (known[at : at + PAGE] for at in range(0, len(known), PAGE))
