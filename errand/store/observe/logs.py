"""Reading what a job has logged and printed."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.flights import Flights


@dataclass(frozen=True)
class LogLine:
    """One line. `number` counts the job's lines; where it was printed, `level` is print and `logger` the stream."""

    number: int
    time: str
    level: str
    attempt: int
    logger: str
    text: str


@dataclass(frozen=True)
class LogPage:
    """A job's lines, oldest first, and how many more there were that are not kept any more, or never came to be."""

    items: list[LogLine]
    dropped: int


class LogReader:
    """Reads lines over one asynchronous client; who asks at the same time shares a round trip."""

    def __init__(self, redis: Redis) -> None:
        self._flights = Flights(redis, "observe/read_lines")

    async def read(self, id: str, after: int = 0) -> LogPage | None:
        """Return the lines whose numbers are higher than `after`, None where there is no job and no line.

        Raises RedisError and TimeoutError.
        """
        is_there, last, stored = await self._flights.call([keys.JOB + id, keys.LOGS + id], [after])
        if not is_there and not stored:
            return None
        items = [line for text in stored if (line := _read(text)) is not None and line.number > after]
        last = max(last, items[-1].number) if items else last
        return LogPage(items, max(0, last - after - len(items)))


def _read(stored: bytes) -> LogLine | None:
    """Return a line, None for what is none of ours."""
    try:
        found: dict[str, Any] = json.loads(stored.decode(errors="replace"))
        time = datetime.fromtimestamp(found["t"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return LogLine(
            int(found["n"]), time, str(found["level"]), int(found["attempt"]), str(found["logger"]), str(found["text"])
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
