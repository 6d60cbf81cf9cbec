"""The lines of one attempt that are not in Redis yet: only so many, of which the oldest go first."""

import itertools
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import NamedTuple

from errand.redis import keys
from errand.worker.execution import Execution

HELD_CHARACTERS = 16 * 1024  # of a line that has no end yet; what comes then is another line
Put = Callable[[Execution, list[str]], object]


class OutputLine(NamedTuple):
    """One line: `number` counts those of its attempt, `logger` is stdout or stderr where it was printed."""

    number: int
    time: float
    level: str
    logger: str
    text: str


class AttemptLines:
    """Takes an attempt's lines from any of its threads, at once; one thread hands them over.

    No lock: an attempt may be interrupted between any two steps, and would never give it back. `arrive` is called
    when there is something new and nobody is going to look.
    """

    def __init__(self, execution: Execution, arrive: Callable[["AttemptLines"], object]) -> None:
        self.execution = execution
        self.is_over = False
        self._arrive = arrive
        self._numbers = itertools.count(1)
        self._new: deque[OutputLine] = deque()
        self._characters = 0
        self._unsent: deque[OutputLine] = deque()
        self._held: dict[tuple[int, str], tuple[str, Put]] = {}
        arrive(self)

    def add(self, level: str, logger: str, text: str) -> None:
        """Add a line; a very long one without its middle."""
        line = OutputLine(next(self._numbers), self.execution.now(), level, logger, shorten(text))
        self._new.append(line)
        self._characters += len(line.text)
        while len(self._new) > keys.LOG_LINES or self._characters > keys.LOG_BYTES:
            try:
                self._characters -= len(self._new.popleft().text)
            except IndexError:  # they were handed over just now
                self._characters = 0
        if self.is_over:  # what the job left behind still says something
            self._arrive(self)

    def write(self, stream: str, text: str, put: Put) -> None:
        """Take what is printed; `put` the lines that are whole, those of each thread by themselves."""
        place = get_ident(), stream
        held, _ = self._held.pop(place, ("", put))
        if "\n" in text:
            *whole, rest = f"{held}{text}".split("\n")
        elif len(held) > HELD_CHARACTERS:
            whole, rest = [held], text
        else:
            whole, rest = [], f"{held}{text}"
        if rest:
            self._held[place] = rest, put
        if whole:
            self._print(stream, whole, put)

    def end(self) -> None:
        """Note that the attempt is over: what it left without an end is a line."""
        self.is_over = True
        while self._held:
            (_, stream), (text, put) = self._held.popitem()
            self._print(stream, [text], put)

    def collect(self) -> list[OutputLine]:
        """Return what is to be handed over, oldest first; for one thread only."""
        while self._new:
            self._unsent.append(self._new.popleft())
        self._characters = 0
        left = keys.LOG_BYTES - sum(len(line.text) for line in self._unsent)
        while len(self._unsent) > keys.LOG_LINES or left < 0:
            left += len(self._unsent.popleft().text)
        return list(self._unsent)

    def forget(self) -> None:
        """Forget what was collected: it has been handed over, or nobody wants it."""
        self._unsent.clear()

    def _print(self, stream: str, texts: list[str], put: Put) -> None:
        put(self.execution, texts)
        for text in texts:
            self.add("print", stream, text.rstrip("\r").rpartition("\r")[2])  # of a line that is written over, the last


def shorten(text: str) -> str:
    """Return a text without its middle, if it is very long: of a traceback the end says most."""
    left = len(text) - keys.LOG_LINE_CHARACTERS
    if left <= 0:
        return text
    half = keys.LOG_LINE_CHARACTERS // 2
    return f"{text[:half]} [… {left} characters …] {text[-half:]}"
