"""Where the worker's log goes, in which form, and how an error gets there."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.logutils import ColorizingStreamHandler

from errand.contract.errors import read_frames
from errand.service_log.formatters import GivenFormatter
from errand.service_log.setup import set_formatter
from errand.worker.trace import format_trace

ROOT, WORKER, RQ = "errand", "errand.worker", "rq.worker"


def share_log_of_rq(is_level_given: bool) -> None:
    """Let what Errand logs come out where RQ's own worker logs, in the same form and from the same level on.

    RQ's command sets up a logger of its own name alone (rq.logutils, 3.0.0). Handlers that were given to ours or to the
    root stay the only ones, and so does a level that was given to ours, unless the command was given one.
    """
    ours, theirs = logging.getLogger(ROOT), logging.getLogger(RQ)
    logging.getLogger(WORKER).disabled = theirs.disabled  # a dictConfig that does not name it disables it
    if not ours.hasHandlers():
        for handler in theirs.handlers:
            ours.addHandler(handler)
        ours.propagate = False
    if is_level_given or ours.level == logging.NOTSET:
        ours.setLevel(theirs.level)


def form_log_of_rq(worker: str) -> None:
    """Give the handlers of RQ's command our form; where the command was given one, that stays, without tracebacks.

    Handlers that somebody configured keep theirs. Warnings of loggers that have no handler at all get our form, too.
    """
    for handler in logging.getLogger(RQ).handlers:
        given = handler.formatter
        if type(handler) is not ColorizingStreamHandler or type(given) is not logging.Formatter:
            continue
        if (given._fmt, given.datefmt) == (DEFAULT_LOGGING_FORMAT, DEFAULT_LOGGING_DATE_FORMAT):
            set_formatter(handler, worker)
        else:
            handler.setFormatter(GivenFormatter(given._fmt, given.datefmt))
        if handler.stream is sys.stderr:
            handler.setLevel(logging.ERROR)  # as its filter has it, but at less cost for each line that is not its own
    if logging.lastResort is not None:
        set_formatter(logging.lastResort, worker)


def log_end(text: str, *args: object, extra: Mapping[str, object]) -> None:
    """Log a job's good end without looking for the line that logs it: that takes as long as the rest."""
    logger = logging.getLogger(WORKER)
    if logger.isEnabledFor(logging.INFO):
        logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, text, args, None, extra=extra))


def log_error(
    error: BaseException | None,
    text: str,
    *args: object,
    level: int = logging.ERROR,
    trace: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Log a text with the traceback of a job's error, made by `format_trace`: to format it may run a job's code.

    The record has the error itself as well, for those who take records elsewhere.
    """
    logger = logging.getLogger(WORKER)
    if logger.isEnabledFor(level):
        about = None if error is None else (type(error), error, read_frames(error))
        record = logger.makeRecord(logger.name, level, __file__, 0, text, args, about, extra=extra)
        if trace is None and error is not None:
            trace = format_trace(error)
        record.exc_text = (trace or "").rstrip() or None
        logger.handle(record)
