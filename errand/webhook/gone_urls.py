"""URLs that have answered 410 (Gone): for a week nothing is sent to them, unless somebody requeues a webhook."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from redis import RedisError

from errand.contract.attempt import current_job
from errand.contract.errors import PermanentError
from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.webhook.request import name_host

if TYPE_CHECKING:
    from rq.job import Job as RQJob

logger = logging.getLogger("errand.jobs")


class GoneError(PermanentError):
    """Raised when a webhook's URL wants no more of them; the text names the host and no more of the URL."""


class GoneNote:
    """What Redis holds of one URL, by its hash, since a token may be in it; outside a job nothing is known or kept."""

    def __init__(self, url: str) -> None:
        self._job: RQJob | None = current_job()
        self._host = name_host(url)
        self._is_asked_for = False
        self._key = keys.GONE + sha256(url.encode()).hexdigest()

    def check(self) -> None:
        """Raise GoneError where nothing is to be sent to the URL now; where Redis does not answer, it may be sent."""
        found = None
        with suppress(RedisError):  # at the worst it costs one request that is answered 410
            found = self._job and self._eval("webhook/gone", self._key, keys.JOB + self._job.id, key_count=2)
        if not found:
            return
        since, self._is_asked_for = found
        if not self._is_asked_for:
            raise GoneError(
                f"{self._host} has answered 410 (Gone) at {since.decode()}, so nothing is sent to this URL until "
                f"{_find_end(since)}; requeue this webhook to have it tried now"
            )

    def keep(self) -> GoneError:
        """Note that the URL has answered 410, and log it; return the error that its webhook fails with."""
        text = f"{self._host} answered 410 (Gone): it wants no more webhooks"
        if self._job is None:
            return GoneError(text)
        try:
            since = self._eval("webhook/note_gone", self._key, str(keys.GONE_SECONDS), key_count=1)
        except RedisError as error:
            logger.warning("%s; it could not be noted: %s", text, error)
            return GoneError(text)
        text = f"{text}; none is sent to this URL until {_find_end(since)}, unless one is requeued"
        logger.warning("%s", text)
        return GoneError(text)

    def lift(self) -> None:
        """Forget that the URL has answered 410, if it has: it has taken a webhook since."""
        if self._job is not None and self._is_asked_for:
            with suppress(RedisError):  # the note ends by itself
                self._job.connection.delete(self._key)

    def _eval(self, script: str, *args: str, key_count: int) -> Any:
        assert self._job is not None
        return self._job.connection.eval(read_script(script), key_count, *args)


def _find_end(since: bytes) -> str:
    """Return when a note of this time ends."""
    until = datetime.fromisoformat(since.decode()) + timedelta(seconds=keys.GONE_SECONDS)
    return until.isoformat(timespec="seconds").replace("+00:00", "Z")
