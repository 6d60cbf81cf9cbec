"""The formatters of API and worker: whatever logs through `logging` comes out as one line an event."""

import logging
import re

from errand.contract.errors import name_type
from errand.logs.line import Stamp, hide_password, paint, quote, request_id
from errand.logs.trace import format_places

# A record's own fields, and what a line calls them: `extra=` of those who log gives them.
FIELDS = (
    ("job_id", ',"job_id":'),
    ("job_type", ',"type":'),
    ("attempt", ',"attempt":'),
    ("queue", ',"queue":'),
    ("error_type", ',"error":'),
    ("frame", ',"frame":'),
)
_VALUES_OF_ASYNCIO = re.compile(r"[(\n].*", re.S)  # its message goes on with the call's arguments, and the error's text
_ANSI = re.compile(r"\x1b\[[0-9;]*m")  # RQ colours some words


class JsonForm(logging.Formatter):
    """A record as a line of JSON, with the worker that says it."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._stamp = Stamp(is_utc=True)
        self._worker = f',"worker":{quote(worker)}' if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what is None or "" is left out."""
        about, at = record.__dict__, record.created
        line = (
            f'{{"time":"{self._stamp.write(at)}.{int(at % 1 * 1000):03d}Z","level":"{record.levelname.lower()}",'
            f'"event":{quote(read_text(record))}'
        )
        for field, name in FIELDS:
            if field in about and (value := about[field]):
                line += name + (quote(value) if type(value) is str else write_value(value))
        if id := request_id.get():
            line += f',"request_id":{quote(id)}'
        line += f'{self._worker},"logger":{quote(record.name)}'
        error = _read_error(record)
        if error is not None and not _is_of_attempt(record):
            line += f',"error":{quote(name_type(error))},"trace":{quote(format_places(error))}'
        return line + "}"


def write_value(value: object) -> str:
    """Return a number as it is, and anything else as text, in JSON."""
    return repr(value) if type(value) in (int, float) else quote(str(value))


class ShortForm(logging.Formatter):
    """A record as a person reads it along: the time unless something else writes it, the level where it matters."""

    def __init__(self, has_time: bool, has_colour: bool) -> None:
        super().__init__()
        self._stamp = Stamp(is_utc=False) if has_time else None
        self._has_colour = has_colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it where an error came from that is no job's."""
        line = read_text(record).encode("utf-8", "replace").decode()
        if record.levelno > logging.INFO:
            line = f"{record.levelname}: {line}"
        if self._has_colour:
            line = paint(line)
        if self._stamp:
            line = f"{self._stamp.write(record.created)} {line}"
        return line + _add_trace(record)


class GivenForm(logging.Formatter):
    """The form that RQ's command was given (`--log-format`, `--date-format`), without what no line may hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it where an error came from that is no job's."""
        record.message = read_text(record)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record) + _add_trace(record)


def read_text(record: logging.LogRecord) -> str:
    """Return what a record says, as one line and without secrets that can be told."""
    text = record.getMessage()
    if record.name == "asyncio":
        text = _VALUES_OF_ASYNCIO.sub("", text)
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\n" in text or "\r" in text:
        text = " ".join(text.split())
    return hide_password(text)


def _add_trace(record: logging.LogRecord) -> str:
    error = _read_error(record)
    return "" if error is None or _is_of_attempt(record) else f"\n{format_places(error)}"


def _read_error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _is_of_attempt(record: logging.LogRecord) -> bool:
    """Return whether a record tells of a job's attempt: there its traceback is kept."""
    return "frame" in record.__dict__
