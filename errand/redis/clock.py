"""The time of a process: Redis', so that machines whose own clocks differ agree on what is stored."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from redis import Redis

FAR_SECONDS = 2.0  # ordinary NTP keeps clocks within some hundredths; so far off it is wrong, not slow


class Clock:
    """Redis' time at its last answer, and monotonic time since; this host's until there is an answer.

    It rides on calls that are made anyway: whatever gets Redis' time with an answer notes it here. `log` is called with
    a line where this host's clock is more than two seconds off, and again when that changes.
    """

    def __init__(self, log: Callable[[str], object] | None = None) -> None:
        self._log = log
        self._epoch: float | None = None
        self._logged_seconds = 0.0

    @property
    def epoch(self) -> float:
        """Redis' time when this machine's monotonic clock was 0; it jumps where Redis' own clock does."""
        return time.time() - time.monotonic() if self._epoch is None else self._epoch

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self.epoch + time.monotonic()

    def moment(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self.now(), UTC)

    @property
    def offset_seconds(self) -> float:
        """How far this host's clock is ahead of Redis'; 0 as long as that is not known."""
        return 0.0 if self._epoch is None else time.time() - self.now()

    @property
    def complaint(self) -> str | None:
        """What is wrong with this host's clock, None where it is less than two seconds off."""
        offset = self.offset_seconds
        if abs(offset) <= FAR_SECONDS:
            return None
        side = "ahead of" if offset > 0 else "behind"
        return f"this host's clock is {abs(offset):.1f} s {side} Redis'; Errand goes by Redis'. Set one of them right"

    def note(self, microseconds: int, asked_at: float) -> None:
        """Note Redis' time, out of an answer that has just come to what was sent at `asked_at`, in monotonic time.

        Redis has read its clock somewhere in between: a slow answer moves ours only as far as it proves it wrong.
        """
        seconds = microseconds / 1_000_000
        earliest, latest = seconds - time.monotonic(), seconds - asked_at
        self._epoch = earliest if self._epoch is None else min(max(self._epoch, earliest), latest)
        if self._log is not None and abs(self.offset_seconds - self._logged_seconds) > FAR_SECONDS:
            complaint = self.complaint
            self._logged_seconds = self.offset_seconds if complaint else 0.0
            self._log(complaint or "this host's clock agrees with Redis' again")

    def note_time(self, answer: Sequence[Any], asked_at: float) -> None:
        """Note it out of what TIME returns: seconds and microseconds."""
        seconds, microseconds = answer
        self.note(int(seconds) * 1_000_000 + int(microseconds), asked_at)

    def note_info(self, info: Mapping[str, Any], asked_at: float) -> bool:
        """Note it out of INFO's section `server`; return whether that has it."""
        if "server_time_usec" not in info:
            return False
        self.note(int(info["server_time_usec"]), asked_at)
        return True

    def ask(self, redis: Redis) -> None:
        """Ask Redis where it has not answered yet. Raises RedisError."""
        if self._epoch is None:
            asked_at = time.monotonic()
            self.note_time(redis.time(), asked_at)

    def silence(self) -> None:
        """Log nothing any more: in a process that was forked off one that does."""
        self._log = None
