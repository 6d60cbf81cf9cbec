"""Reading an address as people write it: `a@b.c` or `Name <a@b.c>`, the name with or without quotes."""

import re
from dataclasses import dataclass

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

FORM = "write an address: you@example.com or Name <you@example.com>"
NAME_LIMIT = 256  # characters; a longer one is no name
_SHIELD = ".example"  # lets a name for special use (.local, .test) pass: email-validator has no option for all of them
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS_LIKE = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_PLAIN = re.compile(r"[\w!#$%&'*+/=?^`{|}~.() -]+")  # a name that needs no quotes to be read again
# email-validator accepts these and returns them as they are, but takes thirty times as long.
_SIMPLE = re.compile(
    r"(?=[^@]{1,64}@[^@]{1,63}$)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@"
    r"(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]+"
)


@dataclass(frozen=True)
class Mailbox:
    """A name, which may be empty, and an address (RFC 5322, section 3.4)."""

    display_name: str
    addr_spec: str

    def __str__(self) -> str:
        """Return it as `read_mailbox` reads it again."""
        if not self.display_name:
            return self.addr_spec
        escaped = re.sub(r'(["\\])', r"\\\1", self.display_name)
        return (
            f"{self.display_name} <{self.addr_spec}>"
            if _PLAIN.fullmatch(self.display_name)
            else f'"{escaped}" <{self.addr_spec}>'
        )

    @property
    def domain(self) -> str:
        """What is behind the @."""
        return self.addr_spec.rpartition("@")[2]


def check_address(address: str) -> str:
    """Return an address as it is sent to: its domain in ASCII, unless what is before the @ is not (RFC 6531).

    Whether its domain exists is left to the mail server. Raises ValueError.
    """
    if _SIMPLE.fullmatch(address):
        return address
    if "=?" in address:  # a mail reader would decode it, and a line break could hide in it
        raise ValueError("an address can't hold an encoded word (=?…?=)")
    shield = _SHIELD if address.lower().rpartition(".")[2].rpartition("@")[2] in SPECIAL_USE_DOMAIN_NAMES else ""
    try:
        found = validate_email(address + shield, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return (found.ascii_email or found.normalized).removesuffix(shield)


def read_mailbox(text: str) -> Mailbox:
    """Return the one mailbox that is written. Raises ValueError, which says what to write."""
    mailbox = _split_whole(text)
    return Mailbox(mailbox.display_name, check_address(mailbox.addr_spec))


def read_sender(text: str) -> Mailbox:
    """Return the mailbox of a sender, whose address is ASCII. Raises ValueError, which says what to write."""
    mailbox = _split_whole(text)
    if not mailbox.addr_spec.isascii():
        raise ValueError(FORM)
    try:
        return Mailbox(mailbox.display_name, check_address(mailbox.addr_spec))
    except ValueError:
        raise ValueError(FORM) from None


def split_mailbox(text: str) -> Mailbox:
    """Return name and address of `Name <a@b.c>`, the address unchecked. Raises ValueError."""
    if not text.endswith(">"):
        return Mailbox("", text)
    given, _, address = text.removesuffix(">").rpartition("<")
    return Mailbox(_read_name(given.strip(" ")), address.strip(" "))


def _split_whole(text: str) -> Mailbox:
    """Return one mailbox, all but its address checked. Raises ValueError."""
    if not text.endswith(">"):
        if re.search(r"[\s,;<]", text) and len(_ADDRESS_LIKE.findall(text)) > 1:
            raise ValueError(f"there is more than one address; {FORM}")
        return Mailbox("", text)
    mailbox = split_mailbox(text)
    if _CONTROL.search(mailbox.display_name):
        raise ValueError("a name can't hold line breaks or other control characters")
    if "=?" in mailbox.display_name:
        raise ValueError("a name can't hold an encoded word (=?…?=); write it as it is read")
    if len(mailbox.display_name) > NAME_LIMIT:
        raise ValueError(f"a name has at most {NAME_LIMIT} characters")
    return mailbox


def _read_name(given: str) -> str:
    """Return a name without its quotes; one without quotes may hold anything but what looks like an address."""
    if given.startswith('"'):
        if not re.fullmatch(r'"(?:[^"\\]|\\.)*"', given, re.S):
            raise ValueError(f"the quotes around the name are not closed before the <; {FORM}")
        return re.sub(r"\\(.)", r"\1", given[1:-1], flags=re.S)
    if "<" in given or ">" in given:
        raise ValueError(f"there is more than one address; {FORM}")
    if any(_ADDRESS_LIKE.fullmatch(part.strip()) for part in re.split(r"[,;]", given)[:-1]):
        raise ValueError(f"there is more than one address; {FORM}")
    return given
