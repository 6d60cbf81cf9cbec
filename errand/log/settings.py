"""Where log lines go."""

from pydantic import Field, field_validator

from errand.redis.settings import Settings


class LogSettings(Settings):
    """Where log lines go."""

    log_url: str = Field("stdout:", alias="LOG_URL")

    @field_validator("log_url")
    @classmethod
    def _check(cls, url: str) -> str:
        if url == "stdout:" or (url.startswith("file:") and url.endswith((".txt", ".jsonl"))):
            return url
        raise ValueError("write file:NAME.txt (plain lines), file:NAME.jsonl (JSON lines) or stdout:")
