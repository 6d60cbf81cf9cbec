"""The seam between the e-mail job and whatever takes its mail: SMTP today, a provider over HTTP where one is added."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from errand.contract.errors import PermanentError


class DeliveryError(Exception):
    """Raised when the mail can't be taken now (SMTP's 4xx), or nobody answers; worth another try."""


class RefusedError(PermanentError):
    """Raised when the mail is refused for good (SMTP's 5xx)."""


@dataclass(frozen=True)
class Envelope:
    """A message as it goes over the wire, and from whom and to whom it goes; each recipient is there once."""

    sender: str
    recipients: list[str]
    message: bytes


class Ledger(Protocol):
    """Where a transport notes how far the message has come, so that another run can know (errand/mail/ledger.py)."""

    def begin(self) -> None:
        """Note that the message goes out now. What it raises ends the conversation before that."""

    def withdraw(self) -> None:
        """Note that the message was refused: nothing was sent."""


class MailTransport(Protocol):
    """Takes one message at a time. Raises DeliveryError where another try may help, RefusedError where not."""

    def send(self, envelope: Envelope, ledger: Ledger, report: Callable[[int], None]) -> dict[str, str]:
        """Send a message; return the recipients that were refused for good, each with the reason.

        All others get it. `report` is called with the number of each recipient that is named, from 1 on.
        """
