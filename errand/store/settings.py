"""Settings of the store: where jobs are kept, and how long."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class LifetimeSettings(BaseSettings):
    """How long jobs are kept after their end."""

    model_config = SettingsConfigDict(frozen=True)
    result_ttl_seconds: int = Field(24 * 3600, alias="JOB_RESULT_TTL_SECONDS", ge=1)
    failure_ttl_seconds: int = Field(30 * 24 * 3600, alias="JOB_FAILURE_TTL_SECONDS", ge=1)


class QueueSettings(LifetimeSettings):
    """Where the jobs are kept as well."""

    redis_url: str = Field(alias="REDIS_URL", examples=["redis://:password@host:6379/0"])

    @field_validator("redis_url")
    @classmethod
    def _check(cls, url: str) -> str:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("write redis://…, rediss://… (TLS) or unix:///path/to.sock")
        return url
