"""Catching what is logged and printed in a process that runs jobs, as the lines of the attempt that says it."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from errand.contract.attempt import entered_attempt
from errand.worker.attempt import LiveAttempt
from errand.worker.execution import Execution
from errand.worker.output.lines import AttemptLines
from errand.worker.output.printed import FormatPrinted, format_printed
from errand.worker.shared.streams import NAMES
from errand.worker.trace import format_trace

HANDLER, LAST_RESORT = "handler", "last resort"
OURS = ("errand.worker", "rq.")  # what workers say about jobs


class Capture:
    """Finds the attempt that runs in the caller's context, and gives it lines; `arrive` hears of its first."""

    def __init__(self, arrive: Callable[[AttemptLines], object], format: FormatPrinted) -> None:
        self._arrive = arrive
        self._format = format
        self._here = threading.local()
        self._pid = os.getpid()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Catch what is logged and printed while the block runs.

        A logger passes each record on by `callHandlers` (CPython 3.11 to 3.14). A handler of the root logger would not
        see those of loggers that don't propagate, `basicConfig` would do nothing where it is there and `dictConfig`
        would take it away, and warnings of a program that has no handler would be printed no more.
        """
        call_handlers = logging.Logger.callHandlers
        logging.Logger.callHandlers = self._wrap(call_handlers)  # type: ignore[method-assign]
        # What writes to them may have been made before: so it is not another stream, but another way to write.
        streams: list[Any] = []
        for name in NAMES:
            stream = getattr(sys, name)
            if stream is not None and stream not in streams:
                with suppress(AttributeError):  # no stream of Python's own
                    stream.write = self._build_write(name, stream.write)
                    streams.append(stream)
        before = _let_infos_through()
        try:
            yield
        finally:
            logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
            logging.getLogger().setLevel(before)
            for stream in streams:
                vars(stream).pop("write", None)

    def _wrap(self, call_handlers: Callable[..., None]) -> Callable[..., None]:
        def catch(logger: logging.Logger, record: logging.LogRecord) -> None:
            lines = self._find()
            if lines is None:
                call_handlers(logger, record)
                return
            for field, value in _describe(lines.execution):
                record.__dict__.setdefault(field, value)
            if not record.name.startswith(OURS):
                lines.add(record.levelname, record.name, write_record(record))
            before = self._writer
            # What handlers write to a stream is no print. It stays as it is, but for what Python prints without any,
            # where no form of lines was asked for that has the job's id by the record.
            is_bare = self._format is format_printed and not logger.hasHandlers()
            self._here.writer = LAST_RESORT if is_bare else HANDLER
            try:
                call_handlers(logger, record)
            finally:
                self._here.writer = before

        return catch

    def _build_write(self, name: str, plain: Callable[[str], int]) -> Callable[[str], int]:
        put = partial(self._put, name, plain)

        def write(text: str) -> int:
            lines = self._find()
            if lines is None or self._writer == HANDLER or not isinstance(text, str):
                return plain(text)
            if self._writer == LAST_RESORT:
                put(lines.execution, text.rstrip("\n").split("\n"))
            else:
                lines.write(name, text, put)
            return len(text)

        return write

    @property
    def _writer(self) -> str:
        """What writes to streams in this thread now, "" for the job itself."""
        return getattr(self._here, "writer", "")

    def _find(self) -> AttemptLines | None:
        attempt = entered_attempt()
        if type(attempt) is not LiveAttempt or attempt.execution is None or os.getpid() != self._pid:
            return None  # a process that a job has forked hands nothing over
        return attempt.lines or self._begin(attempt, attempt.execution)

    def _begin(self, attempt: LiveAttempt, execution: Execution) -> AttemptLines:
        """Return the attempt's lines, the same to all of its threads."""
        lines: AttemptLines = vars(attempt).setdefault("lines", AttemptLines(execution, self._arrive))
        return lines

    def _put(self, name: str, plain: Callable[[str], int], execution: Execution, texts: list[str]) -> None:
        plain("".join(f"{self._format(execution.job_id, execution.description, name, text)}\n" for text in texts))


def write_record(record: logging.LogRecord) -> str:
    """Return a record's text with its traceback, as `logging` has it; of what can't be had it says why."""
    try:
        text = record.getMessage()
    except Exception as error:  # the job's own `__str__`, or arguments that don't fit
        text = f"{record.msg!r} ({type(error).__name__} when it was put together)"
    trace = record.exc_text
    if not trace and record.exc_info and record.exc_info[1] is not None:
        trace = format_trace(record.exc_info[1])
    return "\n".join(part.rstrip("\n") for part in (text, trace, record.stack_info) if part)


def _describe(execution: Execution) -> tuple[tuple[str, str | int], ...]:
    """Return what a record is given of the job in which it was made, for the formats of handlers."""
    return ("job_id", execution.job_id), ("job_type", execution.description), ("attempt", execution.attempt)


def _let_infos_through() -> int:
    """Let loggers pass on INFO, where nobody has set up the root; return its level before.

    Nothing more is printed: `logging.lastResort`, which prints where there is no handler, begins at WARNING.
    """
    root: Any = logging.getLogger()
    before: int = root.level
    if before == logging.WARNING and not root.handlers:
        root.setLevel(logging.INFO)
    return before
