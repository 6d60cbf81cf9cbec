"""Wrong passwords, slowed down wherever one is asked for: after ten from one address, one a minute is looked at.

Each process counts by itself, in memory: it works while Redis is away, and nobody without a password makes it write to
Redis. A key of the API is 256 random bits, which nobody guesses: it is not counted.
"""

import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Any

logger = logging.getLogger("errand.api")

FREE = 10  # somebody mistypes, or tries several passwords
WAIT_SECONDS = 60.0  # 1,440 guesses a day
FORGET_SECONDS = 900.0  # after the last one; ten each 15 minutes are fewer than one a minute
ADDRESSES = 10_000  # about 3 MB; the oldest are forgotten


@dataclass(slots=True)
class _Wrong:
    """The wrong passwords of an address: how many, when the last one was, and its hash."""

    count: int = 0
    at: float = 0.0
    hash: bytes = b""


class WrongPasswords:
    """Counts wrong passwords by address; by the /64 for IPv6, as every customer has a whole one.

    A right one changes no count: somebody with one of the two passwords could otherwise reset it, and go on guessing
    the other.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, _Wrong] = OrderedDict()
        self._key = secrets.token_bytes(16)

    def find_wait(self, address: str) -> int:
        """Return how many seconds an address has to wait before its next try, 0 for none."""
        wrong = self._wrong.get(_cut(address))
        if wrong is None or wrong.count < FREE:
            return 0
        return max(0, math.ceil(wrong.at + WAIT_SECONDS - self._clock()))

    def note(self, address: str, door: str = "", password: bytes | None = None) -> None:
        """Count a wrong password, and log it with `door`, where it was given.

        The one that led to a wait may come again without another wait: a page left open sends the password of before.
        """
        name, now = _cut(address), self._clock()
        wrong = self._wrong.setdefault(name, _Wrong())
        self._wrong.move_to_end(name)
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)
        if now - wrong.at > FORGET_SECONDS:
            wrong.count = 0
        hash = b"" if password is None else blake2b(password, digest_size=8, key=self._key).digest()
        if hash and hash == wrong.hash and wrong.count >= FREE:
            wrong.at = now - WAIT_SECONDS
            return
        wrong.count, wrong.at, wrong.hash = wrong.count + 1, now, hash
        slowed = f"; the next is taken in {WAIT_SECONDS:.0f} seconds" if wrong.count >= FREE else ""
        logger.warning("%s: a wrong password from %s%s", door, address[:64], slowed)


def find_address(scope: Mapping[str, Any]) -> str:
    """Return the address that a request comes from as the server knows it, '' where it knows none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def describe_wait(seconds: int) -> str:
    """Return what the answer says to somebody who has to wait."""
    return f"Too many wrong passwords came from your address. Try again in {seconds} seconds."


def _cut(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else f"{found.exploded[:19]}::/64"
    return str(found)
