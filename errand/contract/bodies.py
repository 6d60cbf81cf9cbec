"""What of a payload is too large for its job's record: it lies outside, and the payload says where.

Such a payload is stored as `{MARK: {"payload": …, "cut": […]}}`. No parameter can be called so, and a worker that
does not know the mark refuses the payload. In `cut` is an entry for each body: where its value belongs, the SHA-256 of
that value's JSON, and how many bytes that has; null stands in its place. A payload that has too much besides its long
strings lies outside as a whole.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydantic_core import to_json
from redis import Redis

from errand.contract.errors import PermanentError
from errand.redis import keys

MARK = keys.BODIES
MARK_BYTES = f'"{MARK}"'.encode()
Fetch = Callable[[str, int], bytes]
Path = tuple[str | int, ...]


class BodyGoneError(PermanentError):
    """Raised when a body is no longer in Redis, or the payload's entry for it is damaged."""


def take_apart(stored: dict[str, Any], whole: str | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a payload as stored without what is too large, and that by its SHA-256.

    `whole` names the parameter that takes all of it, None where each field is one. Raises ValueError for a number that
    JSON has no form for.
    """
    bodies: dict[str, bytes] = {}
    entries: list[Any] = []
    rest = _cut(stored, (), bodies, entries)
    if len(json.dumps(rest, allow_nan=False, ensure_ascii=False).encode()) > keys.BODY_BYTES:
        bodies, entries = {}, []
        _put_outside(stored[whole] if whole else stored, (whole,) if whole else (), bodies, entries)
        rest = {}
    return ({MARK: {"payload": rest, "cut": entries}} if entries else stored), bodies


def take_all_apart(
    payloads: Sequence[dict[str, Any]], whole: str | None
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Do as `take_apart` with many payloads of a type."""
    bodies: dict[str, bytes] = {}
    left = []
    for payload in payloads:
        rest, own = take_apart(payload, whole)
        left.append(rest)
        bodies |= own
    return left, bodies


def _cut(value: Any, path: Path, bodies: dict[str, bytes], entries: list[Any]) -> Any:
    """Return `value` with null for each long string, which is put into `bodies` and `entries`."""
    match value:
        case str():
            is_long = 6 * len(value) > keys.BODY_BYTES and _put_outside(value, path, bodies, entries)
            return None if is_long else value
        case list():
            return [_cut(inner, (*path, place), bodies, entries) for place, inner in enumerate(value)]
        case dict():
            return {name: _cut(inner, (*path, name), bodies, entries) for name, inner in value.items()}
    return value


def _put_outside(value: Any, path: Path, bodies: dict[str, bytes], entries: list[Any]) -> bool:
    """Add a value where its JSON is long; return whether it is."""
    body = to_json(value)
    if len(body) <= keys.BODY_BYTES:
        return False
    name = hashlib.sha256(body).hexdigest()
    bodies[name] = body
    entries.append([path, name, len(body)])
    return True


def is_large(payload: Any, limit: int = keys.BODY_BYTES) -> bool:
    """Return whether a payload may have more than `limit` bytes as JSON: a high estimate, cheaper than to write it."""
    return _measure(payload, limit) > limit


def _measure(value: Any, limit: int) -> int:
    match value:
        case str():
            return 6 * len(value)  # \u001f: no character takes more
        case dict() | list():
            size = 0
            for inner in (*value, *value.values()) if isinstance(value, dict) else value:
                size += _measure(inner, limit - size) + 4
                if size > limit:
                    break
            return size
    return 24  # the longest float; longer integers are rare


def list_bodies(stored: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the bodies of a payload, each with its size. Raises BodyGoneError for damaged entries."""
    try:
        return [(str(name), int(size)) for _, name, size in (stored[MARK]["cut"] if MARK in stored else ())]
    except (ValueError, TypeError, LookupError):
        raise _build_damage_error() from None


def put_together(stored: dict[str, Any], whole: str | None, fetch: Fetch) -> bytes:
    """Return the JSON of a payload, or of its parameter `whole`, with what lies outside. Raises BodyGoneError.

    The JSON of the bodies is put in as it is: a mail of some megabytes must not be in memory more often than it has to.
    """
    try:
        entries = [(tuple(path), str(name), int(size)) for path, name, size in stored[MARK]["cut"]]
        payload = stored[MARK]["payload"]
        root = (whole,) if whole else ()
        if [path for path, _, _ in entries] == [root]:
            return fetch(*entries[0][1:])
        token = uuid4().hex
        for number, (path, _, _) in enumerate(entries):
            _put(payload, path, f"{token}{number}")
        text = json.dumps(payload[whole] if whole else payload)
    except (ValueError, TypeError, LookupError):
        raise _build_damage_error() from None
    pieces = re.split(f'"{token}([0-9]+)"', text)
    parts = [fetch(*entries[int(piece)][1:]) if place % 2 else piece.encode() for place, piece in enumerate(pieces)]
    return b"".join(parts)


def _put(stored: Any, path: Path, value: str) -> None:
    *steps, last = path
    for step in steps:
        stored = stored[step]
    if stored[last] is not None:
        raise ValueError
    stored[last] = value


def _build_damage_error() -> BodyGoneError:
    return BodyGoneError("the job's record of what lies outside of it is damaged; post it anew")


def build_fetch(redis: Redis) -> Fetch:
    """Return what reads a body over a client; it raises BodyGoneError, and RedisError."""

    def fetch(name: str, size_bytes: int) -> bytes:
        body: Any = redis.get(keys.BODY + name)
        if body is None or len(body) != size_bytes:
            where = keys.BODY + name[:64]
            raise BodyGoneError(f"{size_bytes:,} bytes of the payload are gone from Redis ({where}); post it anew")
        found: bytes = body
        return found

    return fetch
