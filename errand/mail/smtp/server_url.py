"""The mail server that `SMTP_URL` names."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from errand.redis.url import read_url

PORTS = {"smtp": 587, "smtps": 465}
OPTIONS = ("starttls", "tls", "ehlo")
FORM = "write smtp://user:password@host:587?starttls=require, or smtps://… for TLS from the start"

Encryption = Literal["offered", "required", "none", "at once"]


@dataclass(frozen=True)
class Server:
    """Where the mail server is, and how to talk to it.

    `encryption`: STARTTLS where it is offered or always, no TLS, or TLS from the start. `name` is our own in EHLO.
    """

    host: str
    port: int
    encryption: Encryption = "offered"
    user: str | None = None
    password: str = field(default="", repr=False)
    name: str | None = None

    @property
    def place(self) -> str:
        """Its host and port, as errors name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def checks_certificate(self) -> bool:
        """Whether something could be lost to a false server. Without that, TLS with anyone beats none (RFC 7435)."""
        return self.encryption in ("required", "at once") or bool(self.password)


@lru_cache(maxsize=16)  # each mail asks
def read_server(url: str) -> Server:
    """Return what `SMTP_URL` says. Raises ValueError, whose text has nothing of what was given."""
    try:
        found = read_url(url, tuple(PORTS), OPTIONS)
        if not found.host:
            raise ValueError("it has no host")
        if found.path not in ("", "/"):
            raise ValueError("it has a path; or else a character of the password is to be percent-encoded: / as %2F")
        if "\0" in (found.user or "") + (found.password or ""):
            raise ValueError("its user name or password holds U+0000, which no login can (RFC 4616)")
        encryption = _read_encryption(found.scheme, found.find("starttls"), found.find("tls"))
        name = found.find("ehlo")
        if name is not None and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,253})|\[[0-9A-Za-z:.]{1,80}\]", name):
            raise ValueError("its option ehlo is no host name, nor an address in brackets")
    except ValueError as error:
        raise ValueError(f"{error}; {FORM}") from None
    port = found.port or PORTS[found.scheme]
    return Server(found.host, port, encryption, found.user, found.password or "", name)


def _read_encryption(scheme: str, starttls: str | None, tls: str | None) -> Encryption:
    if starttls not in (None, "require"):
        raise ValueError("its option starttls can only be require")
    if tls not in (None, "none"):
        raise ValueError("its option tls can only be none")
    if tls and (starttls or scheme == "smtps"):
        raise ValueError("its option tls=none contradicts smtps:// and starttls=require")
    if scheme == "smtps":
        return "at once"
    return "required" if starttls else "none" if tls else "offered"
