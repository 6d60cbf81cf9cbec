"""Wrong passwords, slowed down: after ten from one address that has to wait."""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

FREE = 10
WAIT_SECONDS = 60.0
FORGET_SECONDS = 900.0
ADDRESSES = 10_000  # the oldest are forgotten: about 2 MB


class Tries:
    """Counts wrong passwords by address, of IPv6 by the /64, of which anybody has a whole one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last one was

    def find_wait(self, address: str) -> float:
        """Return how many seconds an address has to wait before its next try, 0 for none."""
        count, last = self._read(_cut(address))
        return max(0.0, last + WAIT_SECONDS - self._clock()) if count >= FREE else 0.0

    def note(self, address: str) -> None:
        """Count a wrong password."""
        name = _cut(address)
        self._wrong[name] = (self._read(name)[0] + 1, self._clock())
        self._wrong.move_to_end(name)
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)

    def forget(self, address: str) -> None:
        """Forget an address that has shown a right one."""
        self._wrong.pop(_cut(address), None)

    def _read(self, name: str) -> tuple[int, float]:
        count, last = self._wrong.get(name, (0, 0.0))
        return (0, 0.0) if count and self._clock() - last > FORGET_SECONDS else (count, last)


def _cut(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else found.exploded[:19]
    return str(found)
