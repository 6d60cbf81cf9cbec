"""A mail transport that sends nothing and keeps what it would have sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses

from errand.contract.errors import ServiceDownError
from errand.mail.transport import Envelope, Ledger, Outcome, Outcomes


@dataclass(frozen=True)
class SentAttachment:
    """A file of a mail."""

    filename: str | None
    content_type: str
    content: bytes


@dataclass(frozen=True)
class SentMail:
    """A mail as it went out: `sender` and `recipients` are the envelope's, the rest is read out of the message.

    Addresses are bare (`ada@example.com`); `headers` has them as they are written, with names. `bcc` are the
    recipients that no header names. `raw` is the message itself.
    """

    sender: str
    recipients: list[str]
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str
    text: str | None
    html: str | None
    attachments: list[SentAttachment]
    headers: dict[str, str]
    raw: bytes = field(repr=False)


class MemoryMail:
    """The transport of the e-mail job in a test.

    After `refuse` a recipient is refused for good; while `is_down` is True the whole server is away.
    """

    place = "the test's memory"

    def __init__(self) -> None:
        self.sent: list[SentMail] = []
        self.is_down = False
        self._refused: dict[str, str] = {}

    def refuse(self, address: str, reason: str = "550 5.1.1 no such user") -> None:
        """Refuse a recipient from now on, with the server's answer `reason`."""
        self._refused[address.lower()] = reason

    def send(self, envelope: Envelope, ledger: Ledger, report: Callable[[str], None]) -> Outcomes:
        """Keep a message; return what became of it for each recipient. Raises ServiceDownError while `is_down`."""
        if self.is_down:
            raise ServiceDownError("the mail server is down (errand_jobs.mail.is_down)")
        outcomes = Outcomes()
        for recipient in envelope.recipients:
            report(recipient)
            reason = self._refused.get(recipient.lower())
            outcomes[recipient] = Outcome("refused", reason) if reason else Outcome("sent")
        taken = [recipient for recipient, outcome in outcomes.items() if outcome.status == "sent"]
        if taken:
            ledger.begin(taken)
            self.sent.append(read_mail(envelope.sender, taken, envelope.message))
        return outcomes


def read_mail(sender: str, recipients: list[str], raw: bytes) -> SentMail:
    """Return a mail by its envelope and the message as it was sent."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    named = {name: _list_addresses(message, name) for name in ("to", "cc", "reply-to")}
    return SentMail(
        sender,
        recipients,
        to=named["to"],
        cc=named["cc"],
        bcc=[each for each in recipients if each not in (*named["to"], *named["cc"])],
        reply_to=named["reply-to"],
        subject=str(message["subject"] or ""),
        text=_read_text(text),
        html=_read_text(html),
        attachments=[_read_attachment(part) for part in message.iter_attachments() if isinstance(part, EmailMessage)],
        headers={name: str(value) for name, value in message.items()},
        raw=raw,
    )


def _list_addresses(message: EmailMessage, name: str) -> list[str]:
    return [address for _, address in getaddresses([str(value) for value in message.get_all(name, [])])]


def _read_text(part: MIMEPart | None) -> str | None:
    """Return a body with plain line ends and without the one that ends every body."""
    return None if part is None else str(part.get_content()).replace("\r\n", "\n").removesuffix("\n")


def _read_attachment(part: EmailMessage) -> SentAttachment:
    content = part.get_payload(decode=True)
    return SentAttachment(part.get_filename(), part.get_content_type(), content if isinstance(content, bytes) else b"")
