"""Who may be an e-mail's sender: `MAIL_FROM`, and what `MAIL_SENDERS` allows."""

from functools import lru_cache

from errand.mail.format.addresses import Mailbox, check_address, read_mailbox, read_sender
from errand.redis.environment import read_variable

Senders = frozenset[str]  # addresses, and domains that begin with @


def read_senders(text: str) -> Senders:
    """Return what MAIL_SENDERS allows: `a@b.c` and `*@b.c`, with commas between. Raises ValueError."""
    found = set()
    for entry in filter(None, map(str.strip, text.split(","))):
        domain = entry.removeprefix("*@")
        try:
            address = check_address(f"any@{domain}" if domain != entry else entry)
        except ValueError:
            raise ValueError("write addresses and *@domain with commas between: a@example.com, *@example.org") from None
        found.add((address.removeprefix("any") if domain != entry else address).lower())
    return frozenset(found)


def check_sender(text: str) -> str:
    """Return a payload's `from`; where this process knows who may send, it is one of those. Raises ValueError."""
    mailbox = read_mailbox(text)
    if not mailbox.addr_spec.isascii():
        raise ValueError("a sender's address is ASCII")
    allowed = _read_allowed(read_variable("MAIL_FROM"), read_variable("MAIL_SENDERS"))
    if allowed and not is_allowed(mailbox, allowed):
        raise ValueError(describe_refusal(mailbox))
    return str(mailbox)


def is_allowed(sender: Mailbox, allowed: Senders) -> bool:
    """Return whether a sender's address is allowed; the name before it may be any."""
    address = sender.addr_spec.lower()
    return address in allowed or f"@{address.rpartition('@')[2]}" in allowed


def describe_refusal(sender: Mailbox) -> str:
    """Return why a sender is refused, and what to set."""
    address, domain = sender.addr_spec, sender.domain
    return f"{address} can't be the sender: it is not MAIL_FROM's, and MAIL_SENDERS has neither it nor *@{domain}"


@lru_cache(8)  # a process has one pair of settings, tests have a few
def _read_allowed(mail_from: str | None, mail_senders: str | None) -> Senders:
    """Return all who may send; nobody where the settings don't say or are wrong, which the start refuses."""
    try:
        own = {read_sender(mail_from).addr_spec.lower()} if mail_from else set()
        return read_senders(mail_senders or "") | own
    except ValueError:
        return frozenset()
