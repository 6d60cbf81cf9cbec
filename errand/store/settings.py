"""Settings of the store: where jobs are kept, and how long."""

from pydantic import Field, field_validator

from errand.redis.settings import Settings
from errand.redis.url import check_redis_url


class LifetimeSettings(Settings):
    """How long jobs are kept after their end."""

    # A day for results, which are read soon if at all; a month to look into failures.
    result_ttl_seconds: int = Field(24 * 3600, alias="JOB_RESULT_TTL_SECONDS", ge=1)
    failure_ttl_seconds: int = Field(30 * 24 * 3600, alias="JOB_FAILURE_TTL_SECONDS", ge=1)


class QueueSettings(LifetimeSettings):
    """Where the jobs are kept as well."""

    redis_url: str = Field(alias="REDIS_URL", repr=False, examples=["redis://:password@host:6379/0"])

    @field_validator("redis_url")
    @classmethod
    def _check(cls, url: str) -> str:
        return check_redis_url(url)
