"""What jobs were posted with."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from redis.asyncio import Redis

from errand.contract.bodies import MARK, BodyGoneError, put_together
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.store.observe.bounded import unpack
from errand.store.status import read_json

BYTES_LIMIT = 256 * 1024  # of one in its job's record, packed or not; ours have less


class PayloadReader:
    """Reads payloads over one asynchronous client. No other reader does so unasked: to unpack them costs."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("observe/payloads"))

    async def read(self, ids: Sequence[str]) -> list[bytes]:
        """Return the packed payloads of jobs in one call, b"" where there is none or it is too large.

        Raises RedisError.
        """
        found: list[bytes] = await self._script(keys=[keys.JOB + id for id in ids], args=[BYTES_LIMIT]) if ids else []
        return found


def show_payload(packed: bytes, whole: str | None) -> Any:
    """Return a payload as it was stored, without defaults, None where it can't be shown: a pickle, or damaged.

    `whole` names the parameter of the type that takes all of it, None where each field is one. In the place of a value
    that lies outside of the job stands `{MARK: {"sha256": …, "bytes": …}}`.
    """
    try:
        payload = unpack_payload(packed)
        if MARK in payload:
            return read_json(put_together(payload, whole, _stand_in).decode())
        return payload[whole] if whole and payload.keys() == {whole} else payload
    except (ValueError, TypeError, RecursionError, BodyGoneError):
        return None


def unpack_payload(packed: bytes) -> dict[str, Any]:
    """Return a payload as it is stored, by parameter. Raises ValueError, TypeError and RecursionError for others."""
    _, _, args, payload = read_json(unpack(packed, BYTES_LIMIT).decode())
    if args or not isinstance(payload, dict):
        raise ValueError
    return payload


def _stand_in(name: str, size_bytes: int) -> bytes:
    return to_json({MARK: {"sha256": name, "bytes": size_bytes}})
