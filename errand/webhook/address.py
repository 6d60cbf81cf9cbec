"""Where a webhook may go: https URLs, and only public ones of the addresses behind a name."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from errand.contract.errors import PermanentError

Target = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

URL_LIMIT = 2_000  # characters: no webhook needs more, and each job that has one carries it
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Networks of IANA's special-purpose registries that Python 3.11 takes for public.
_SPECIAL = [ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


class RefusedAddressError(PermanentError):
    """Raised when a host has no address that may be called."""


def check_url(url: str, allow_private: bool = False) -> str:
    """Return a URL that a webhook may have. Raises ValueError, which says what to write.

    `allow_private` lets http and private addresses pass as well.
    """
    if len(url) > URL_LIMIT or not re.fullmatch(r"[!-~]+", url):
        raise ValueError(f"write at most {URL_LIMIT} characters of ASCII: a host in punycode, the rest percent-encoded")
    try:
        parts = urlsplit(url)
    except ValueError:  # its text would show a part of the URL
        raise ValueError("its host can't be read; percent-encode [ and ] elsewhere as %5B and %5D") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise ValueError("write https://…")
    if "@" in parts.netloc:
        raise ValueError("it can't hold a user or a password; a token may stand in the path or in the query")
    if parts.fragment:
        raise ValueError("it can't have a fragment (#…)")
    host = parts.hostname or ""
    address = _read_address(host)
    if address is None and not _NAME.fullmatch(host):
        raise ValueError("there is no host in it")
    if _read_port(parts) == 0:
        raise ValueError("its port is no number from 1 to 65535")
    if address is not None and not allow_private and not is_public(address):
        raise ValueError(f"{host} is no public address")
    return url


def find_targets(host: str, port: int, allow_private: bool) -> list[Target]:
    """Resolve a host; return the addresses that may be called.

    Raises RefusedAddressError where there is none, and OSError where the host can't be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    targets: list[Target] = [(family, address) for family, _, _, _, address in found]
    public = [target for target in targets if allow_private or is_public(ip_address(target[1][0]))]
    if not public:
        raise RefusedAddressError(f"{host} has no public address; webhooks don't go to private ones")
    return public


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is public.

    An IPv4 address inside an IPv6 one is judged by itself. 6to4 and Teredo are refused: nobody needs them today.
    """
    if isinstance(address, IPv6Address):
        inside = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if inside is not None:
            return is_public(inside)
        if address not in _GLOBAL_UNICAST or address.sixtofour or address.teredo:
            return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def _read_port(parts: SplitResult) -> int | None:
    """Return the port, 0 where something else is in its place: Python's error would show that."""
    try:
        return parts.port
    except ValueError:
        return 0


def _read_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
