"""What is known of one job's e-mail, in a Redis key of its own that outlives the job, so that a second run knows.

`errand:mail:<job id>` holds `sending` from just before the message goes out until the server's answer, and `sent`, the
result, once all who can have it do. Where only some do, `parts` is there, and under `to <address>` what is known of
each: `sent`, `refused`, or the token of a run that began to send it. Each script leaves the same when it is sent twice,
and works in a full Redis.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Literal, NoReturn
from uuid import uuid4

from redis import RedisError

from errand.contract.attempt import current_job
from errand.contract.errors import PermanentError
from errand.mail.transport import Outcome, Outcomes
from errand.redis import keys
from errand.redis.lua.loader import read_script

logger = logging.getLogger("errand.jobs")

KEPT_SECONDS = 30 * 24 * 3600  # as long as a failed job, which may be requeued, is kept unless the settings differ


class UnknownDeliveryError(PermanentError):
    """Raised where an earlier run may have sent the mail and `MAIL_ON_UNKNOWN` is `fail`."""


class ConflictError(Exception):
    """Raised when another run of the same job got ahead of this one; the next try reads how that run ended."""


class MailLedger:
    """What is known of the delivery of one message; outside a job nothing is kept and every method does nothing.

    `known` is what became of the mail in earlier runs, by recipient. `held` are those who may have the mail and must
    not get it twice, each with the token of the run that began to send it.
    """

    def __init__(
        self, message_id: str, recipients: list[str], on_unknown: Literal["send", "fail"], place: str = ""
    ) -> None:
        self._job = current_job()
        self._message_id, self._recipients, self._on_unknown, self._place = message_id, recipients, on_unknown, place
        self._token = ""  # this run's, so that no run takes back what another noted
        self._seen_token = ""
        self._fields: dict[str, str] = {}
        self._in_parts = False
        self._sending_to: list[str] = []
        self.known: Outcomes = {}
        self.held: dict[str, str] = {}

    def recall(self) -> dict[str, Any] | None:
        """Return the result of the run that sent the mail; None where somebody has yet to get it. Raises RedisError."""
        if self._job is None:
            return None
        fields: Any = self._job.connection.hgetall(self._key)
        found = {name.decode(): value.decode() for name, value in fields.items()}
        if "sent" in found:
            result: dict[str, Any] = json.loads(found["sent"])
            return result
        if found:
            self._read(found)
        return None

    def _read(self, found: Mapping[str, str]) -> None:
        self._seen_token, self._in_parts = found.get("sending", ""), "parts" in found
        self._fields = {each: value for each in self._recipients if (value := found.get(f"to {each}"))}
        token = self._seen_token
        to_all = token and token not in self._fields.values()  # no part was named: it went to all the others
        doubtful, newest = dict.fromkeys(self._recipients, token) if to_all else {}, self._find_newest_result()
        for recipient, value in self._fields.items():
            doubtful.pop(recipient, None)
            if value == "sent":
                self.known[recipient] = Outcome("sent")
            elif value.startswith("refused "):
                _, id, reason = value.split(" ", 2)
                if id == newest:  # else it was requeued since: whoever did that wants it tried again
                    self.known[recipient] = Outcome("refused", reason)
            else:
                doubtful[recipient] = value
        if doubtful and self._on_unknown == "fail" and found.get("told", "") in ("", newest):
            self.held = doubtful

    def _find_newest_result(self) -> str:
        """Return the id of the result that RQ recorded last for the job: a new one each time it fails for good."""
        assert self._job is not None
        newest = self._job.latest_result()
        return str(newest.id) if newest else "none"

    def raise_unknown(self) -> NoReturn:
        """Raise UnknownDeliveryError for those who are held, until such a failure is recorded.

        Whoever requeues the job after that wants it sent. A run that only repeats, because its worker died before it
        could record the failure, raises it again.
        """
        (recipient, token), *_ = self.held.items()
        self._note("mail/note_unknown", token, self._find_newest_result(), recipient)
        message_id, _, place = (*token.split(), "")[:3]
        whom = "" if len(self.held) == len(self._recipients) else f" to {', '.join(self.held)}"
        where = f" ({place})" if place else ""
        raise UnknownDeliveryError(
            f"it can't be known whether this mail went out{whom}: an earlier run began to send it, and no answer of "
            f"the mail server is noted. Look for Message-ID {message_id} in the mail server's log{where}; "
            "if it is not there, requeue this job, which sends it"
        )

    def begin(self, recipients: list[str]) -> None:
        """Note that the message goes out to these now.

        Raises ConflictError where another run got ahead, and RedisError where it can't be noted.
        """
        self._sending_to, self._token = recipients, f"{self._message_id} {uuid4()} {self._place}".rstrip()
        is_part = self._in_parts or len(recipients) < len(self._recipients)
        parts = [text for each in recipients for text in (each, self._fields.get(each, ""))] if is_part else []
        if self._job is not None:
            if not self._eval("mail/begin", self._seen_token, self._token, str(KEPT_SECONDS), *parts):
                raise ConflictError("another run of this job is sending this mail or has sent it")
            self._in_parts = is_part

    def withdraw(self) -> None:
        """Note that the server has refused the message: nothing was sent."""
        self._note("mail/withdraw", self._token, *(self._sending_to if self._in_parts else ()))

    def settle(self, outcomes: Outcomes) -> None:
        """Note what became of the mail for some, while it isn't known for all."""
        settled = {each: outcome for each, outcome in outcomes.items() if outcome.status != "waits"}
        if self._job is None or not settled:
            return
        newest = self._find_newest_result() if any(outcome.status == "refused" for outcome in settled.values()) else ""
        for recipient, outcome in settled.items():
            self._fields[recipient] = "sent" if outcome.status == "sent" else f"refused {newest} {outcome.reason}"
        parts = [text for each in settled for text in (each, self._fields[each])]
        self._note("mail/note_recipients", self._token, str(KEPT_SECONDS), *parts)
        self._in_parts = True

    def finish(self, result: dict[str, Any]) -> None:
        """Note that the server has taken the message for all who can have it, and the job's result."""
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
