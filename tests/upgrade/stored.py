"""All keys of a server as JSON that a person can read and git can compare, and back into any server.

A key is a line: its type, what it holds, and for how many milliseconds more it was kept («ttl_ms», null for ever). Text
is text; bytes that are none are `base64:…`.

What lay ahead of the clock when it was written lies as far ahead when it is restored: what is left of the lifetimes,
and the scores of sorted sets that are times to come (when a job is due, until when it is in a registry). Else a job
that is to run tomorrow would be due at once, and what ended today be swept away, on any later day. A schedule's next
slot is moved by whole days to the first one ahead, so that it is still what its daily cron gives. What lay in the past
is left as it was: when jobs were created, began and ended, their order, and the leases of a worker that had died.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from redis import Redis

Keys = dict[str, dict[str, Any]]
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
DAY = 86400
CLOCK = ("run_at", "oldest_seconds", "heartbeat_seconds", "next_run_at", "next_runs", "next")
EMPTY: tuple[Any, ...] = (None, [], {}, 0, False, "")


def _write(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return "base64:" + b64encode(value).decode() if UNPRINTABLE.search(text) else text


def _read(text: str) -> bytes:
    return b64decode(text.removeprefix("base64:")) if text.startswith("base64:") else text.encode()


def _write_pairs(found: dict[bytes, bytes]) -> dict[str, str]:
    return {_write(name): _write(value) for name, value in sorted(found.items())}


def _read_pairs(written: dict[str, str]) -> dict[Any, Any]:
    return {_read(name): _read(value) for name, value in written.items()}


def _write_score(score: float) -> float | int | str:
    if abs(score) == float("inf"):
        return str(score)
    return int(score) if score == int(score) else score


EXPORT: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda redis, key: _write(redis.get(key) or b""),  # it may expire meanwhile
    b"list": lambda redis, key: [_write(one) for one in redis.lrange(key, 0, -1)],
    b"set": lambda redis, key: sorted(_write(one) for one in redis.smembers(key)),
    b"hash": lambda redis, key: _write_pairs(redis.hgetall(key)),
    b"zset": lambda redis, key: {
        _write(one): _write_score(at) for one, at in redis.zrange(key, 0, -1, withscores=True)
    },
    b"stream": lambda redis, key: {id.decode(): _write_pairs(fields) for id, fields in redis.xrange(key)},
}


def export(redis: Redis) -> Keys:
    """Return what a server holds."""
    keys = {}
    for key in sorted(redis.scan_iter()):
        kind: Any = redis.type(key)
        ttl_ms = redis.pttl(key)
        if kind != b"none":
            held = EXPORT[kind](redis, key)
            keys[_write(key)] = {"type": kind.decode(), "ttl_ms": ttl_ms if ttl_ms > 0 else None, "value": held}
    return keys


def write(path: Path, keys: Keys, exported_at: str, **more: Any) -> None:
    """Write it, a key a line."""
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in more.items() if name != "answers"}
    head = [f"{json.dumps(name)}: {text}" for name, text in {**texts, "exported_at": json.dumps(exported_at)}.items()]
    head.append(_write_lines("answers", more["answers"]))
    path.write_text("{\n" + ",\n".join([*head, _write_lines("keys", keys)]) + "\n}\n")


def _write_lines(name: str, held: dict[str, Any]) -> str:
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in sorted(held.items())]
    return f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}"


def read(path: Path) -> dict[str, Any]:
    """Return what `write` wrote."""
    return dict(json.loads(path.read_text()))


def list_fields(answer: Any) -> set[str]:
    """Return the names of all fields in an answer, down to the last."""
    if isinstance(answer, list):
        return set().union(*map(list_fields, answer))
    return set(answer).union(*map(list_fields, answer.values())) if isinstance(answer, dict) else set()


def trim(answer: Any, fields: Collection[str] = ()) -> Any:
    """Return an answer of the API less what the clock says and what is empty, and less other fields than `fields`.

    Of jobs in a list the ids are left.
    """
    if isinstance(answer, list) and answer and isinstance(answer[0], dict) and "progress" in answer[0]:
        return [one["id"] for one in answer]
    if isinstance(answer, list):
        return [trim(one, fields) for one in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {name: trim(value, fields) for name, value in answer.items() if name not in CLOCK}
    return {name: value for name, value in kept.items() if (not fields or name in fields) and value not in EMPTY}


def restore(redis: Redis, written: dict[str, Any]) -> None:
    """Fill an empty server with it."""
    seconds, micros = redis.time()
    then = datetime.fromisoformat(written["exported_at"])
    passed = datetime.fromtimestamp(seconds + micros / 1e6, UTC) - then
    for key, held in written["keys"].items():
        _put(redis, _read(key), held, partial(_move, key, then, passed))
        if held["ttl_ms"]:
            redis.pexpire(_read(key), held["ttl_ms"])


def _put(redis: Redis, key: bytes, held: dict[str, Any], move: Callable[[float], float]) -> None:
    value = held["value"]
    if held["type"] == "string":
        redis.set(key, _read(value))
    elif held["type"] == "list":
        redis.rpush(key, *map(_read, value))
    elif held["type"] == "set":
        redis.sadd(key, *map(_read, value))
    elif held["type"] == "hash":
        redis.hset(key, mapping=_read_pairs(value))
    elif held["type"] == "zset":
        redis.zadd(key, {_read(one): move(float(score)) for one, score in value.items()})
    else:
        for id, fields in value.items():
            redis.xadd(key, _read_pairs(fields), id)


def _move(key: str, then: datetime, passed: timedelta, score: float) -> float:
    """Return a score as far ahead of the clock as it was; one that is past or no time stays what it is."""
    if key == "errand:schedules":
        late = (then + passed).timestamp() - score
        return score + ceil(max(late, 0) / DAY) * DAY if score < float("inf") else score
    unit = 1e-3 if key == "errand:leases" else 1
    ahead = then.timestamp() < score * unit < float("inf")
    is_time_to_come = not key.startswith(("errand:index", "errand:tag", "errand:rated")) and ahead
    return score + passed.total_seconds() / unit if is_time_to_come else score
