"""What all lines share: times, JSON strings, passwords, colours, the request's id."""

import re
import time
from contextvars import ContextVar
from json.encoder import encode_basestring_ascii

quote = encode_basestring_ascii  # text as JSON; a lone surrogate becomes an escape as well

# The id of the request that the API serves in this context; "" elsewhere.
request_id: ContextVar[str] = ContextVar("request_id", default="")

COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}  # ANSI: yellow, red
_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s@]+@")


class Stamp:
    """Formats times; keeps the last text, which all lines of one second share."""

    def __init__(self, is_utc: bool) -> None:
        self._form, self._split = ("%Y-%m-%dT%H:%M:%S", time.gmtime) if is_utc else ("%H:%M:%S", time.localtime)
        self._last = (-1, "")

    def write(self, seconds: float) -> str:
        """Return seconds since 1970 as a text to the second: in UTC, or as this machine's time of day."""
        second, text = self._last
        if second != int(seconds):
            second = int(seconds)
            text = time.strftime(self._form, self._split(second))
            self._last = second, text
        return text


def hide_password(text: str) -> str:
    """Return a text without the passwords of the URLs in it."""
    return _PASSWORD.sub(r"\1***@", text) if "://" in text else text


def paint(line: str) -> str:
    """Return a short line in its level's colour, for a terminal; one that begins with no level stays as it is."""
    colour = COLOURS.get(line.partition(":")[0])
    return f"\033[{colour}m{line}\033[0m" if colour else line
