"""Write one line to the log at `LOG_URL`."""

from typing import Annotated

from pydantic import Field, JsonValue

from jobs import Backoff, job, job_id
from jobs._log_sink import Level, LogSettings, write_line

Text = Annotated[str, Field(max_length=100_000)]


@job(
    queue="log",
    retry=Backoff(tries=8),
    settings=LogSettings,
    example={"text": "Backup finished", "level": "notice", "attributes": {"rows": 1200}},
)
def run(text: Text, level: Level = "info", attributes: dict[str, JsonValue] | None = None) -> None:
    """Write the line whole; any number of workers may write at once."""
    write_line(LogSettings().log_url, job_id(), level, text, attributes or {})
