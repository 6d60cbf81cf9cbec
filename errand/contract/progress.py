"""How far a job is."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock, Timer
from typing import Any

INTERVAL_SECONDS = 0.25  # people see no more of a bar that moves, and a tight loop does not flood Redis


class Progress:
    """Call it with how much is done, of how much, and a message: `progress(3, 10, "rows")`.

    A job gets one that writes to its status; a plain `Progress()` keeps `reports`, a list of
    `(done, total, message)`, for unit tests. `total` may be unknown (None).
    """

    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None, str]] = []

    def __call__(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report progress; `done` and `total` are in units of your own.

        Raises ValueError when `done` is negative, `total` is not positive, or one of them is not finite.
        """
        if not 0 <= done < math.inf or (total is not None and not 0 < total < math.inf):
            raise ValueError(f"progress({done}, {total}): done must be at least 0, total more than 0, both finite")
        self._take(done, total, message)

    def _take(self, done: float, total: float | None, message: str) -> None:
        self.reports.append((done, total, message))


class LiveProgress(Progress):
    """Hands reports to `write` at most 4 times a second; one that came too soon follows when its time has come.

    `check` is called before each report, and raises in a job that somebody has stopped. `now` returns the time in
    seconds since 1970.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Any]], None],
        check: Callable[[], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._write = write
        self._check = check
        self._now = now
        self._lock = Lock()
        self._held: dict[str, Any] | None = None
        self._written_at = float("-inf")
        self._last_stamp = ""
        self._timer: Timer | None = None

    def _take(self, done: float, total: float | None, message: str) -> None:
        if self._check is not None:
            self._check()
        with self._lock:
            self._held = {"done": done, "total": total, "message": message[:200], "updated_at": self._stamp()}
            wait_seconds = self._written_at + INTERVAL_SECONDS - time.monotonic()
            if wait_seconds <= 0:
                self._write_held()
            elif self._timer is None:
                self._timer = Timer(wait_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _stamp(self) -> str:
        """Return the time, a millisecond later where the last written report has the same: watchers compare them."""
        now = datetime.fromtimestamp(self._now(), UTC)
        stamp = _write_time(now)
        return stamp if stamp != self._last_stamp else _write_time(now + timedelta(milliseconds=1))

    def flush(self) -> None:
        """Write the report that is still held, if any: the last one counts."""
        with self._lock:
            self._write_held()

    def _write_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is not None:
            report, self._held = self._held, None
            self._written_at, self._last_stamp = time.monotonic(), report["updated_at"]
            self._write(report)


def _write_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
