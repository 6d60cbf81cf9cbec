"""When a job expires: from then on it must not be done."""

from datetime import UTC, datetime

from errand.contract.attempt import current_attempt
from errand.contract.errors import ExpiredError


def check_expiry() -> None:
    """Raise ExpiredError where the job that runs here has expired; outside a job and for others do nothing.

    For jobs that must have ended by then (`@job(expires="end")`), just before what can't be taken back. Under a plain
    `rq worker` it asks Redis, and may raise RedisError.
    """
    attempt = current_attempt()
    expires_at = attempt.read_expiry()
    if expires_at is not None and attempt.now() >= expires_at:
        raise ExpiredError(f"it had not ended by {write_expiry(expires_at)}")


def write_expiry(seconds: float) -> str:
    """Return seconds since 1970 as a job's record holds its expiry: RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
