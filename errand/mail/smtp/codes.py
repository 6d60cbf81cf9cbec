"""What a mail server's reply means at each step, and whether for the connection, the mail or the recipient.

The steps and codes of RFC 5321 (sections 4.2 and 4.3.2), those of STARTTLS (RFC 3207) and AUTH (RFC 4954), 521 and 556
(RFC 7504), with the status of RFC 3463 where the server gives one. docs/mail.md has the same table.
"""

import re
from enum import Enum, StrEnum

Reply = tuple[int, bytes]

REASON_BYTES = 240  # a result of at most 64 KiB holds two for each of 50 recipients


class SmtpStep(StrEnum):
    """A step of the SMTP conversation; the value is its name in errors."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    MESSAGE = "the message"


class Meaning(Enum):
    """What follows from a reply."""

    YES = "go on"
    DOWN = "the connection's fault: no mail's try is spent, all wait"
    LATER = "the mail's or the recipient's: tried again"
    REFUSED = "the mail's or the recipient's: refused for good"
    FULL = "this transaction takes no more recipients: the next one does"
    NONSENSE = "no reply to what was asked: the connection is closed"


# The most exact entry counts: «code status», «code none» (a reply without a status), the code, its first digit. Others
# are nonsense. 421 ends the connection at any step.
TABLE: dict[SmtpStep, dict[str, Meaning]] = {
    SmtpStep.GREETING: {"220": Meaning.YES, "4": Meaning.DOWN, "5": Meaning.DOWN},
    SmtpStep.EHLO: {"2": Meaning.YES, "4": Meaning.DOWN, "5": Meaning.DOWN},
    SmtpStep.STARTTLS: {"220": Meaning.YES, "4": Meaning.DOWN, "5": Meaning.DOWN},
    SmtpStep.AUTH: {"235": Meaning.YES, "334": Meaning.YES, "4": Meaning.DOWN, "5": Meaning.DOWN},
    SmtpStep.MAIL: {
        "2": Meaning.YES,
        "4": Meaning.LATER,
        "5": Meaning.REFUSED,
        # The message can't be the reason for these: it has only just begun.
        **dict.fromkeys(("502", "503", "521", "530", "534", "535", "538"), Meaning.DOWN),
    },
    SmtpStep.RCPT: {
        "2": Meaning.YES,
        "4": Meaning.LATER,
        "5": Meaning.REFUSED,
        # Here they may be about this recipient alone (some need a login to be relayed to), and settings mend them.
        **dict.fromkeys(("503", "530", "534", "535", "538"), Meaning.LATER),
        # RFC 5321, section 4.5.3.1.10; with another status it is a mailbox or a disk that is full.
        **dict.fromkeys(("452 none", "452 4.5.3", "552 none", "552 5.5.3"), Meaning.FULL),
    },
    SmtpStep.DATA: {
        "354": Meaning.YES,
        "4": Meaning.LATER,
        "5": Meaning.REFUSED,
        **dict.fromkeys(("503", "530", "534", "535", "538"), Meaning.LATER),
    },
    SmtpStep.MESSAGE: {
        "2": Meaning.YES,
        "4": Meaning.LATER,
        "5": Meaning.REFUSED,
        **dict.fromkeys(("503", "530", "534", "535", "538"), Meaning.LATER),
    },
}
WITH_STATUS = {name[:3] for entries in TABLE.values() for name in entries if " " in name}


def judge(step: SmtpStep, reply: Reply, is_first: bool = True) -> Meaning:
    """Return what a reply means. `is_first` at RCPT: no other recipient of this transaction was accepted yet."""
    code, text = reply
    entries, name = TABLE[step], str(code)
    meaning = entries.get(name) or entries.get(name[:1], Meaning.NONSENSE)
    if name not in WITH_STATUS:
        return meaning
    status = _read_status(code, text)
    meaning = entries.get(f"{name} {status or 'none'}", meaning)
    if meaning is Meaning.FULL and is_first:  # one recipient can't be too many: the reply means what the code says
        return Meaning.REFUSED if code == 552 and not status else Meaning.LATER
    return meaning


def show(reply: Reply) -> str:
    """Return a reply on one line for people, cut to REASON_BYTES."""
    code, text = reply
    if code < 0:
        return "an answer that is no SMTP reply"
    words = " ".join(text.decode(errors="replace").split())
    shown = "".join(character if character.isprintable() else "\ufffd" for character in words)
    return f"{code} {shown}".encode()[:REASON_BYTES].decode(errors="ignore")


def _read_status(code: int, text: bytes) -> str:
    found = re.match(rb"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)", text)
    return found[0].decode() if found and found[1] == b"%d" % (code // 100) else ""
