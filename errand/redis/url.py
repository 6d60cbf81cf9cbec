"""Reading a URL of the settings. Errors name the part that is wrong and never its text, which may be a password."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis import Redis, RedisError

PORT_LIMIT = 65535
REDIS_SCHEMES = ("redis", "rediss", "unix")
_ENCODE = "percent-encode / as %2F, # as %23, ? as %3F, @ as %40, : as %3A and % as %25 in user name and password"


@dataclass(frozen=True)
class Url:
    """A URL's parts; user name, password and options are decoded. `user` and `password` None: there is none."""

    scheme: str
    host: str
    port: int | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    path: str = ""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # a password may be one

    def find(self, name: str) -> str | None:
        """Return an option's value, None where it isn't given."""
        return dict(self.options).get(name)


def read_url(text: str, schemes: Collection[str] | None, options: Collection[str] | None = None) -> Url:
    """Return a URL's parts (RFC 3986), whose user name may hold an @: the last one ends it.

    `schemes` and `options`, the query's names, are those that may be given, None: any. Raises ValueError, whose text
    names the part that is wrong and has nothing of what was given.
    """
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("it holds a space or a control character; take it out, or percent-encode it (a space is %20)")
    scheme, marked, _ = text.partition("://")
    if not marked or (schemes is not None and scheme not in schemes):
        known = ", ".join(f"{scheme}://" for scheme in schemes or ())
        raise ValueError(f"its scheme is none of {known}" if known else "it has no scheme and ://")
    parts = _split(text)
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(f"its user name or password ends too early, or it has an @ after its host; {_ENCODE}")
    if "#" in text:
        raise ValueError(f"it holds a #; {_ENCODE}")
    port = _read_port(parts)
    return Url(
        parts.scheme,
        parts.hostname or "",
        port,
        _decode(parts.username),
        _decode(parts.password),
        parts.path,
        _read_options(parts.query, options),
    )


def check_redis_url(text: str) -> str:
    """Return a URL that redis-py takes (8.0.1, `redis.connection.parse_url`) as it is meant.

    By itself redis-py makes database 0 of a path that is no number. Raises ValueError as `read_url` does.
    """
    is_socket = text.startswith("unix:///")  # there is no user name, so an @ is the path's own
    url = read_url(text.replace("@", "%40") if is_socket else text, REDIS_SCHEMES)
    if url.scheme == "unix" and (url.host or url.path in ("", "/")):
        raise ValueError("it names no socket; write unix:///path/to.sock, with three slashes")
    if url.scheme != "unix" and not re.fullmatch(r"(/([0-9]+/?)?)?", url.path):
        raise ValueError("its path is no number of a database; write redis://host:6379/0, or leave it out")
    try:
        pool = Redis.from_url(text).connection_pool
        pool.connection_class(**pool.connection_kwargs)  # nothing is sent, but the options are read
    except (ValueError, TypeError, RedisError):
        raise ValueError("its options (after the ?) are none that redis-py takes") from None
    return text


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        what = "its user name, password or host holds a [ or ], or a letter that stands for / ? # @ or :"
        raise ValueError(f"{what}; {_ENCODE}") from None


def _read_port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is no number from 1 to {PORT_LIMIT}; or else {_ENCODE}")
    return port


def _read_options(query: str, known: Collection[str] | None) -> tuple[tuple[str, str], ...]:
    given = tuple(parse_qsl(query, keep_blank_values=True))
    for number, (name, _) in enumerate(given, 1):
        if known is not None and name not in known:
            there_are = f"there are {', '.join(known)}" if known else "there are none"
            raise ValueError(f"its option number {number} is not known; {there_are}")
    return given


def _decode(text: str | None) -> str | None:
    try:
        return text if text is None else unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("its user name or password, percent-decoded, is no UTF-8") from None
