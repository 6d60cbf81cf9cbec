"""Handing lines over to Redis: all jobs' in one call, a few times a second, and before an attempt's end is recorded."""

import json
import logging
import time
from collections import deque
from collections.abc import Container
from threading import Lock

from redis import Redis, RedisError
from redis.exceptions import OutOfMemoryError

from errand.redis.failover import AWAY
from errand.redis.lua.loader import read_script
from errand.worker.output.lines import AttemptLines, OutputLine

SHIP_SECONDS = 0.25  # between two shipments: who watches a job sees its lines at most half a second late
MOST_ATTEMPTS = 16  # in one call: a megabyte at most
logger = logging.getLogger("errand.worker")


class Shipper:
    """Hands over the lines of the attempts that have some; where there are none, it does nothing."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(read_script("observe/note_lines"))
        self._arrived: deque[AttemptLines] = deque()
        self._open: list[AttemptLines] = []
        self._has_ended = False
        self._shipped_at = 0.0
        self._is_logged = False
        self._lock = Lock()

    def arrive(self, lines: AttemptLines) -> None:
        """Take charge of an attempt's lines from now on; from any thread."""
        self._arrived.append(lines)

    def look(self, running: Container[str]) -> None:
        """End the lines of attempts that are not among the `running`, which are members."""
        if not self._open and not self._arrived:
            return
        with self._lock:
            self._welcome()
            for lines in self._open:
                if not lines.is_over and lines.execution.member not in running:
                    lines.end()
                    self._has_ended = True

    def ship(self, at_once: bool = False) -> None:
        """Hand over what there is, if an attempt has ended or the last time is long ago enough.

        Raises RedisError where Redis is away: the lines are kept, as many as fit. What it refuses is dropped.
        """
        if not self._open and not self._arrived:
            return
        now = time.monotonic()
        if not (at_once or self._has_ended or now - self._shipped_at >= SHIP_SECONDS):
            return
        with self._lock:
            self._shipped_at = now
            self._welcome()
            found = [(lines, batch) for lines in self._open if (batch := lines.collect())]
            for start in range(0, len(found), MOST_ATTEMPTS):
                self._send(found[start : start + MOST_ATTEMPTS])
            self._open = [lines for lines in self._open if not lines.is_over]
            self._has_ended = False

    def _welcome(self) -> None:
        while self._arrived:
            lines = self._arrived.popleft()
            if lines not in self._open:
                self._open.append(lines)

    def _send(self, found: list[tuple[AttemptLines, list[OutputLine]]]) -> None:
        args: list[str | int] = []
        for lines, batch in found:
            args += [lines.execution.job_id, lines.execution.id, len(batch)]
            attempt = lines.execution.attempt
            for line in batch:
                args += [line.number, _write(line, attempt)]
        try:
            self._script(args=args)
        except OutOfMemoryError:
            pass
        except AWAY:
            raise
        except RedisError as error:
            if not self._is_logged:
                logger.warning("What jobs log can't be written down (%s: %s)", type(error).__name__, error)
            self._is_logged = True
        for lines, _ in found:
            lines.forget()


def _write(line: OutputLine, attempt: int) -> str:
    """Return a line as JSON, less its beginning: the script puts its number there."""
    shown = {
        "t": round(line.time, 3),
        "level": line.level,
        "attempt": attempt,
        "logger": line.logger,
        "text": line.text,
    }
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()[1:]
