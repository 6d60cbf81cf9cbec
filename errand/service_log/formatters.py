"""The formatters of API and worker: each event that is logged through `logging` becomes one line."""

import logging
import re

from errand.contract.errors import name_type
from errand.service_log.line import Stamp, hide_password, paint, quote, request_id
from errand.service_log.trace import format_places

# Fields that callers give by `extra=`, and the names that a line of JSON has for them.
FIELDS = (
    ("job_id", ',"job_id":'),
    ("job_type", ',"type":'),
    ("attempt", ',"attempt":'),
    ("queue", ',"queue":'),
    ("error_type", ',"error":'),
    ("frame", ',"frame":'),
)
_VALUES_OF_ASYNCIO = re.compile(r"[(\n].*", re.S)  # in its messages the call's arguments and the error's text follow
_ANSI = re.compile(r"\x1b\[[0-9;]*m")  # RQ colours some words


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON, with the name of the worker that logs it."""

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._stamp = Stamp(is_utc=True)
        self._worker = f',"worker":{quote(worker)}' if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; fields that are None or "" are left out."""
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


class ShortFormatter(logging.Formatter):
    """Formats a record for a person who reads along: with the time if `has_time`, and the level from WARNING on."""

    def __init__(self, has_time: bool, has_colour: bool) -> None:
        super().__init__()
        self._stamp = Stamp(is_utc=False) if has_time else None
        self._has_colour = has_colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the places of an error that is not a job attempt's."""
        line = read_text(record).encode("utf-8", "replace").decode()
        if record.levelno > logging.INFO:
            line = f"{record.levelname}: {line}"
        if self._has_colour:
            line = paint(line)
        if self._stamp:
            line = f"{self._stamp.write(record.created)} {line}"
        return line + _add_trace(record)


class GivenFormatter(logging.Formatter):
    """Formats a record as RQ's options `--log-format` and `--date-format` say, without what no line may hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the places of an error that is not a job attempt's."""
        record.message = read_text(record)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return self.formatMessage(record) + _add_trace(record)


def read_text(record: logging.LogRecord) -> str:
    """Return a record's message as one line, without the secrets that can be recognised."""
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
    """Return whether a record is about a job's attempt, which keeps the traceback itself."""
    return "frame" in record.__dict__
