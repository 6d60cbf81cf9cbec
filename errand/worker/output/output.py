"""What a process that runs jobs does about what they log and print, from before its first job until after its last."""

import time
from collections.abc import Container
from contextlib import ExitStack
from threading import Thread

from redis import Redis, RedisError

from errand.worker.output.capture import Capture
from errand.worker.output.lines import AttemptLines
from errand.worker.output.printed import FormatPrinted, format_printed
from errand.worker.output.ship import SHIP_SECONDS, Shipper


class Output:
    """For a runner, whose loop calls `look` when attempts have ended, and `ship` each time that it goes round."""

    def __init__(self, redis: Redis, format: FormatPrinted = format_printed) -> None:
        self._shipper = Shipper(redis)
        self._capture = Capture(self._arrive, format)
        self._stack = ExitStack()

    def open(self) -> None:
        """Begin to catch it."""
        self._stack.enter_context(self._capture.open())

    def look(self, running: Container[str]) -> None:
        """Note which attempts still run, by their members."""
        self._shipper.look(running)

    def ship(self, at_once: bool = False) -> RedisError | None:
        """Hand over what there is, if it is time; return the error where Redis is away."""
        try:
            self._shipper.ship(at_once)
        except RedisError as error:
            return error
        return None

    def close(self) -> None:
        """Hand over the rest, once, and catch no more."""
        self.look(())
        self.ship(at_once=True)
        self._stack.close()

    def _arrive(self, lines: AttemptLines) -> None:
        self._shipper.arrive(lines)


class LoneOutput(Output):
    """For a process of one job, whose thread runs that: another one hands over, from the first line on."""

    def __init__(self, redis: Redis, format: FormatPrinted = format_printed) -> None:
        super().__init__(redis, format)
        self._has_thread = False

    def _arrive(self, lines: AttemptLines) -> None:
        super()._arrive(lines)
        if not self._has_thread:
            self._has_thread = True
            Thread(target=self._ship_on, name="errand-output", daemon=True).start()

    def _ship_on(self) -> None:
        while True:
            time.sleep(SHIP_SECONDS)
            self.ship()
