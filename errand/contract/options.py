"""What `@job()` was told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_settings import BaseSettings

from errand.contract.retry import Backoff

Expires = Literal["start", "end"]
BODY_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Options:
    """What `@job()` was told, as it was told; `job` says what each means."""

    queue: str
    timeout_seconds: int
    retry: Backoff | Callable[[], Backoff]
    settings: type[BaseSettings] | None
    example: dict[str, Any] | None
    isolate: bool
    cron: str | None
    timezone: str | None
    rate: str | None
    service: Callable[[], str] | None = None
    expires: Expires = "start"
    max_bytes: int | Callable[[], int] = BODY_LIMIT_BYTES
