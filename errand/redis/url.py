"""Reading a URL of the settings: what is wrong with it is told by the name of its part, for it may hold a password."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

PORT_LIMIT = 65535
_ENCODE = "percent-encode / as %2F, # as %23, ? as %3F, @ as %40, : as %3A and % as %25 in user name and password"


@dataclass(frozen=True)
class Url:
    """A URL's parts; user name, password and options are decoded. `user` and `password` None: there is none."""

    scheme: str
    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def find(self, name: str) -> str | None:
        """Return an option's value, None where it isn't given."""
        return dict(self.options).get(name)


def read_url(text: str, schemes: Collection[str], options: Collection[str] | None = None) -> Url:
    """Return a URL's parts. `options` are the query's names that may be given, None: any.

    Raises ValueError, whose text names the part that is wrong and has nothing of what was given.
    """
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("it holds a space or a control character; percent-encode it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"its host can't be read; {_ENCODE}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"its scheme is none of {', '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(f"its user name or password holds a character that must be written otherwise: {_ENCODE}")
    if parts.fragment or text.endswith("#"):
        raise ValueError(f"it holds a #; {_ENCODE}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"its port is no number from 1 to {PORT_LIMIT}; or else {_ENCODE}")
    given = tuple(parse_qsl(parts.query, keep_blank_values=True))
    for number, (name, _) in enumerate(given, 1):
        if options is not None and name not in options:
            known = f"there are {', '.join(options)}" if options else "there are none"
            raise ValueError(f"its option number {number} is not known; {known}")
    return Url(
        parts.scheme,
        parts.hostname or "",
        port,
        _decode(parts.username),
        _decode(parts.password),
        parts.path,
        given,
    )


def _decode(text: str | None) -> str | None:
    try:
        return text if text is None else unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("its user name or password, percent-decoded, is no UTF-8") from None
