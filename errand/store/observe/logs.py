"""Reading what a job has logged and printed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.group_commit import GroupCommit

NO_TIME = "1970-01-01T00:00:00.000Z"


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
    """Reads lines over one asynchronous client; those that ask at the same time share a round trip."""

    def __init__(self, redis: Redis) -> None:
        self._script = GroupCommit(redis, "observe/read_lines")

    async def read(self, id: str, after: int = 0) -> LogPage | None:
        """Return the lines whose numbers are higher than `after`, None where there is no job and no line.

        Raises RedisError and TimeoutError.
        """
        is_there, last, stored = await self._script.call([keys.JOB + id, keys.LOGS + id], [after])
        if not is_there and not stored:
            return None
        if len(stored) == 1 and isinstance(stored[0], int):  # no line of it was read
            return LogPage([_stand_in(max(last, after + 1), stored[0])] if last != after else [], 0)
        items = [line for line in _read_all(stored) if line.number > after]
        last = max(last, items[-1].number) if items else last
        return LogPage(items, max(0, last - after - len(items)))


def _read_all(stored: Sequence[bytes | int]) -> Iterator[LogLine]:
    """Yield the lines that can be read; of one that is too large, its size, after the line before it."""
    last = _stand_in(0, 0)
    for text in stored:
        if isinstance(text, int):
            last = replace(_stand_in(last.number + 1, text), time=last.time, attempt=last.attempt)
            yield last
        elif (line := _read(text)) is not None:
            last = line
            yield line


def _stand_in(number: int, size_bytes: int) -> LogLine:
    """Return what stands for a line that is too large."""
    said = f"(a line of {size_bytes:,} bytes, which is too large to be shown)"
    return LogLine(number, NO_TIME, "warning", 0, "errand", said)


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
