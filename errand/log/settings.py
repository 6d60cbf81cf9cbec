"""Where log lines go."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pydantic import Field, field_validator

from errand.log.file import Rotation
from errand.redis.settings import Settings, read_current

_SIZE = re.compile(r"([1-9][0-9]{0,8})(KB|MB|GB|KIB|MIB|GIB)", re.I)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
KEEP, MOST_KEPT = 7, 1000  # a week where one is filled a day; each rotation renames all that there are
_PLACES = "write file:NAME.txt (plain lines), file:NAME.jsonl (JSON lines) or stdout:"
_OPTIONS = f"after the ? of a file write rotate=100MB (KB, MB, GB or KiB, MiB, GiB) and keep=7 (1 to {MOST_KEPT})"


@dataclass(frozen=True)
class Place:
    """What LOG_URL names; `path` is '' for standard output."""

    path: str
    rotation: Rotation | None = None


class LogSettings(Settings):
    """Where log lines go."""

    log_url: str = Field("stdout:", alias="LOG_URL")

    @field_validator("log_url")
    @classmethod
    def _check(cls, url: str) -> str:
        read_log_url(url)
        return url


def read_log_url(url: str) -> Place:
    """Return what a LOG_URL names. Raises ValueError, which says what to write."""
    place, marked, options = url.partition("?")
    if place == "stdout:" and not marked:
        return Place("")
    if not place.startswith("file:") or not place.endswith((".txt", ".jsonl")):
        raise ValueError(_PLACES)
    return Place(place.removeprefix("file:"), _read_rotation(options) if marked else None)


def _read_rotation(text: str) -> Rotation:
    given = parse_qsl(text, keep_blank_values=True)
    options = dict(given)
    size, keep = _SIZE.fullmatch(options.get("rotate", "")), options.get("keep", str(KEEP))
    is_known = set(options) <= {"rotate", "keep"} and len(options) == len(given)
    if size is None or not is_known or not re.fullmatch(r"[1-9][0-9]{0,3}", keep) or int(keep) > MOST_KEPT:
        raise ValueError(_OPTIONS)
    return Rotation(int(size[1]) * _UNITS[size[2].upper()], int(keep))


def read_log_settings() -> LogSettings:
    """Return the settings of the environment as it is now. Raises pydantic's ValidationError."""
    return read_current(LogSettings)
