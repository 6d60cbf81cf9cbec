"""Write lines to the log at `LOG_URL`."""

import os
import socket
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationInfo

from errand.contract.attempt import current_attempt, current_job, job_id
from errand.contract.errors import ServiceDownError
from errand.contract.job import job
from errand.contract.retry import Backoff
from errand.log.line import Level, LogLine, read_level
from errand.log.settings import LogSettings, read_log_settings, read_log_url
from errand.log.sink import STDOUT, open_sink

MOST_LINES = 1_000  # as the items of a batch
ONE_OF_THEM = "give text or lines, one of them"


def _convert(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is out of the years 1 to 9999 in UTC") from None


Text = Annotated[str, Field(max_length=100_000)]  # longer text is a file, not a line
Attributes = dict[str, JsonValue] | None
Timestamp = Annotated[AwareDatetime, AfterValidator(_convert)] | None


class Line(BaseModel):
    """One of several lines; what it lacks is taken from the job's own fields."""

    model_config = ConfigDict(extra="forbid")
    text: Text
    level: Level | None = None
    attributes: Attributes = None
    timestamp: Timestamp = None


def _check_whole(lines: list[Line] | None, info: ValidationInfo) -> list[Line] | None:
    if "text" in info.data and (info.data["text"] is None) == (lines is None):
        raise ValueError(ONE_OF_THEM)
    return lines


Lines = Annotated[
    Annotated[list[Line], Field(min_length=1, max_length=MOST_LINES)] | None, AfterValidator(_check_whole)
]


def _name_service() -> str:
    """Return what a worker writes to: its own host's file, or its own standard output."""
    path = read_log_url(read_log_settings().log_url).path
    if path:
        return f"{socket.gethostname()} {os.path.abspath(path)}"
    output = os.fstat(STDOUT)
    return f"{socket.gethostname()} {output.st_dev} {output.st_ino}"


@job(
    queue="log",
    retry=Backoff(tries=100, hours=48, base_seconds=60, cap_seconds=7200),
    settings=LogSettings,
    service=_name_service,
    example={"text": "Backup finished", "level": "notice", "attributes": {"rows": 1200}},
)
def run(
    text: Text | None = None,
    level: Level = "info",
    attributes: Attributes = None,
    timestamp: Timestamp = None,
    lines: Lines = None,
) -> None:
    """Write one line, or up to 1,000 at once; each whole, however many workers write."""
    given = _list_lines(text, lines)
    common = LogLine(timestamp or _read_time(), read_level(level), "", attributes or {}, job_id())
    sink = open_sink(read_log_settings().log_url)
    try:
        sink.write([_complete(line, common) for line in given])
    except OSError as error:
        raise ServiceDownError(f"{sink.name} can't be written: {error.strerror or error}") from error


def _list_lines(text: str | None, lines: list[Line] | None) -> list[Line]:
    if text is not None and lines is None:
        return [Line.model_construct(text=text)]
    if text is None and lines is not None:
        return [Line.model_validate(line) for line in lines]  # a plain call may give dictionaries
    raise ValueError(ONE_OF_THEM)


def _read_time() -> datetime:
    """Return when the job was stored; the time now where none runs."""
    current = current_job()
    return current.created_at if current else datetime.fromtimestamp(current_attempt().now(), UTC)


def _complete(line: Line, common: LogLine) -> LogLine:
    return LogLine(
        line.timestamp or common.time,
        line.level or common.level,
        line.text,
        common.attributes if line.attributes is None else line.attributes,
        common.job,
    )
