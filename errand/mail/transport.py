"""The interface between the e-mail job and what takes its mail: SMTP today, a provider over HTTP where one is added."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from errand.contract.errors import PermanentError


class DeliveryError(Exception):
    """Raised when the mail can't be taken now (SMTP's 4xx), or its connection ends; worth another try."""


class RefusedError(PermanentError):
    """Raised when the mail is refused for good (SMTP's 5xx)."""


@dataclass(frozen=True)
class Envelope:
    """A message as it goes over the wire, its sender, and its recipients, each once.

    `downgrade` returns the message without addresses beyond ASCII in its head, for a server that doesn't take them;
    None where it has none.
    """

    sender: str
    recipients: list[str]
    message: bytes
    downgrade: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of the mail for one recipient: `waits` is worth another try. `is_whole`: the reason is the mail's."""

    status: Literal["sent", "refused", "waits"]
    reason: str = ""
    is_whole: bool = False


Outcomes = dict[str, Outcome]


class Ledger(Protocol):
    """Where a transport notes how far the message has come, so that another run can know (errand/mail/ledger.py)."""

    def begin(self, recipients: list[str]) -> None:
        """Note that the message goes out to these now. If it raises, nothing goes out."""

    def withdraw(self) -> None:
        """Note that the message was refused: nothing was sent."""


class MailTransport(Protocol):
    """Takes one message at a time, for one recipient or several."""

    place: str  # where the mail goes, for those who look for it there

    def send(self, envelope: Envelope, ledger: Ledger, report: Callable[[str], None]) -> Outcomes:
        """Send a message; return what became of it for each recipient.

        Those that are left out were too many for one go: the next call is for them, and never all are left out.
        `report` is called with each recipient that is named. Raises ServiceDownError where no mail can be sent now,
        DeliveryError where another try may help, RefusedError where not. No recipient has the mail then; where `begin`
        of `ledger` was called and `withdraw` was not, nobody knows.
        """
