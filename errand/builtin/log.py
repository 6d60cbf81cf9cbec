"""Write one line to the log at `LOG_URL`."""

from typing import Annotated

from pydantic import Field, JsonValue

from errand.contract.attempt import job_id
from errand.contract.job import job
from errand.contract.retry import Backoff
from errand.log.settings import LogSettings
from errand.log.sink import Level, LogLine, open_sink

Text = Annotated[str, Field(max_length=100_000)]


@job(
    queue="log",
    retry=Backoff(tries=8),
    settings=LogSettings,
    example={"text": "Backup finished", "level": "notice", "attributes": {"rows": 1200}},
)
def run(text: Text, level: Level = "info", attributes: dict[str, JsonValue] | None = None) -> None:
    """Write the line whole; any number of workers may write at once."""
    open_sink(LogSettings().log_url).write(LogLine(job_id(), level, text, attributes or {}))
