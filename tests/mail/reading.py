"""Reading a mail back with Python's own reader."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from errand.mail.compose import compose
from errand.mail.format.addresses import Mailbox
from errand.mail.message import Message

SENDER = Mailbox("Errand", "errand@example.com")


def build(**fields: Any) -> Message:
    """Return a message, with a `text` unless the fields have one."""
    return Message.model_validate({"to": "ada@example.com", "subject": "Hello", "text": "It works."} | fields)


def read_back(message: Message) -> EmailMessage:
    """Return what Python's reader makes of a message whose lines are checked first."""
    raw = compose(message, SENDER, "id")
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def outline(part: Any) -> Any:
    """Return a part's type, with those of its parts."""
    kind = part.get_content_type()
    return (kind, [outline(inner) for inner in part.iter_parts()]) if part.is_multipart() else kind


def read_text(part: EmailMessage) -> str:
    """Return a text with the line ends of this machine."""
    return str(part.get_content()).replace("\r\n", "\n")
