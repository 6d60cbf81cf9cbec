"""Settings of the road through Redis, and how a missing one is told."""

from typing import TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)


class SettingsError(Exception):
    """Raised when a setting is missing or wrong; the text has the line to set."""


def tell(fault: Exception | str) -> str:
    """Return what a person sees where a process can't start: each line of the fault with our name in front."""
    return "\n".join(f"errand: {line}" for line in str(fault).splitlines())


class LifetimeSettings(BaseSettings):
    """How long jobs are kept after their end."""

    model_config = SettingsConfigDict(frozen=True)
    result_ttl_seconds: int = Field(24 * 3600, alias="JOB_RESULT_TTL_SECONDS", ge=1)
    failure_ttl_seconds: int = Field(30 * 24 * 3600, alias="JOB_FAILURE_TTL_SECONDS", ge=1)


class QueueSettings(LifetimeSettings):
    """Where the jobs are kept as well."""

    redis_url: str = Field(alias="REDIS_URL")

    @field_validator("redis_url")
    @classmethod
    def _check(cls, url: str) -> str:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("write redis://…, rediss://… (TLS) or unix:///path/to.sock")
        return url


LINES = {
    "REDIS_URL": "REDIS_URL=redis://:password@host:6379/0",
    "SMTP_URL": "SMTP_URL=smtp://user:password@host:587?starttls=require",
    "MAIL_FROM": "MAIL_FROM='Your name <you@example.com>'",
}


def read_settings(kind: type[S], user: str) -> S:
    """Build `kind` from the environment.

    Raises SettingsError, which names `user` («jobs/email.py») and the line to set.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("\n".join(_tell(fault, user) for fault in error.errors())) from None


def _tell(fault: ErrorDetails, user: str) -> str:
    said = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:  # of several settings together; it names them
        return f"{said} ({user})"
    name = fault["loc"][0]
    if fault["type"] == "missing":
        return f"{name} is not set and {user} needs it; set {LINES.get(str(name), f'{name}=…')}"
    return f"{name} is wrong ({user}): {said}"
