"""What is known of one job's e-mail, in a Redis key of its own that outlives the job, so that a second run can tell.

`errand:mail:<job id>` holds `sending` from just before the message goes out until the server's answer, and `sent`, the
result, from then on. Each script leaves the same when it is sent twice, and works in a full Redis.
"""

import json
import logging
from typing import Any, Literal
from uuid import uuid4

from redis import RedisError

from errand.contract.attempt import current_job
from errand.contract.errors import PermanentError
from errand.redis import keys
from errand.redis.lua.loader import read_script

logger = logging.getLogger("errand.jobs")

KEPT_SECONDS = 30 * 24 * 3600


class UnknownDeliveryError(PermanentError):
    """Raised where an earlier run may have sent the mail and `MAIL_ON_UNKNOWN` is `fail`."""


class ConflictError(Exception):
    """Raised when another run of the same job got ahead of this one; the next try learns how that ended."""


class Delivery:
    """The delivery of one message; outside a job nothing is kept and every method does nothing."""

    def __init__(self, message_id: str, on_unknown: Literal["send", "fail"]) -> None:
        self._job = current_job()
        self._mine = f"{message_id} {uuid4()}"  # the run's own word, so that no run takes back another's
        self._seen = ""
        self._on_unknown = on_unknown

    def recall(self) -> dict[str, Any] | None:
        """Return the result of the run that sent the mail, None where it is to be sent.

        Raises UnknownDeliveryError where that is what to do about a mail that may have been sent.
        """
        if self._job is None:
            return None
        fields: list[Any] = self._job.connection.hmget(self._key, ["sent", "sending", "told"])
        sent, self._seen, told = (value.decode() if value else "" for value in fields)
        if sent:
            result: dict[str, Any] = json.loads(sent)
            return result
        if self._seen and self._on_unknown == "fail":
            self._tell(told)
        return None

    def _tell(self, told: str) -> None:
        """Raise UnknownDeliveryError until such a failure is recorded: whoever requeues the job then wants it sent.

        A run that merely repeats, since its worker died before it could record the failure, raises it again. `told` is
        what RQ had recorded last when it was raised before.
        """
        assert self._job is not None
        newest = self._job.latest_result()
        recorded = str(newest.id) if newest else "none"
        if told in ("", recorded):
            self._note("mail/tell", self._seen, recorded)
            raise UnknownDeliveryError(
                "it can't be known whether this mail went out: an earlier run began to send it, and no answer of the "
                f"mail server is noted. Look for Message-ID {self._seen.split()[0]} in the mail server's log; "
                "if it is not there, requeue this job, which sends it"
            )

    def begin(self) -> None:
        """Note that the message goes out now. Raises ConflictError, and RedisError where it can't be noted."""
        if self._job is not None and not self._eval("mail/begin", self._seen, self._mine, str(KEPT_SECONDS)):
            raise ConflictError("another run of this job is sending this mail or has sent it")

    def withdraw(self) -> None:
        """Note that the server has refused the message: nothing was sent."""
        self._note("mail/withdraw", self._mine)

    def finish(self, result: dict[str, Any]) -> None:
        """Note that the server has taken the message, and the job's result."""
        self._note("mail/finish", json.dumps(result), str(KEPT_SECONDS))

    @property
    def _key(self) -> str:
        assert self._job is not None
        return keys.MAIL + self._job.id

    def _eval(self, script: str, *args: str) -> Any:
        assert self._job is not None
        return self._job.connection.eval(read_script(script), 1, self._key, *args)

    def _note(self, script: str, *args: str) -> None:
        """Run a script that must not hide what has happened to the mail, even where Redis can't take it."""
        if self._job is not None:
            try:
                self._eval(script, *args)
            except RedisError as error:
                logger.warning("job %s: what happened to its mail could not be noted: %s", self._job.id, error)
