"""Which service the command line asks, and with which key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from errand.cli.client.problem import WrongUsageError
from errand.redis.environment import VariableError, check_once, find_variable

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class ClientSettings:
    """The service's URL, without a slash at its end, and the API key's secret, "" for none."""

    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


def read_client_settings(environment: Mapping[str, str]) -> ClientSettings:
    """Return what ERRAND_URL and ERRAND_KEY say. Raises WrongUsageError."""
    url = _read(environment, "ERRAND_URL") or DEFAULT_URL
    key = _read(environment, "ERRAND_KEY")
    if fault := _find_fault(url):
        shown = "wrong" if "@" in url else repr(url)  # a password may be in it
        raise WrongUsageError(f"ERRAND_URL is {shown}: {fault}; set ERRAND_URL=https://jobs.example.com")
    if not re.fullmatch(r"[!-~]*", key):
        raise WrongUsageError("ERRAND_KEY holds spaces or other characters that no key has; set ERRAND_KEY=errand_…")
    return ClientSettings(url.rstrip("/"), key)


def _read(environment: Mapping[str, str], name: str) -> str:
    try:
        check_once(name, environment)
        return (find_variable(name, environment) or "").strip()
    except VariableError as error:
        raise WrongUsageError(str(error)) from None


def _find_fault(url: str) -> str:
    if "@" in url:
        return "a user and a password don't belong there; the key goes into ERRAND_KEY"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        return str(error)
    return _judge(parts, url)


def _judge(parts: SplitResult, url: str) -> str:
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it has to begin with http:// or https:// and a host"
    if parts.query or parts.fragment:
        return "it ends with the path"
    return "" if re.fullmatch(r"[!-~]+", url) else "it holds characters that no URL has"
