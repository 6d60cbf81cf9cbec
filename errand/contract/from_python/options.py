"""The options of a new job, beside its payload, when it is stored from Python."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

# The limits of HTTP as well.
FARTHEST_SECONDS = 3650 * 24 * 3600  # ten years: more is a mistake in units
WORD = r"^[A-Za-z0-9._:@/-]{1,64}$"
WORDS = "give letters, digits and . _ : @ / -, up to 64"
TIMEOUT_LIMIT_SECONDS = 86_400  # a day; longer work belongs in several jobs
TRIES_LIMIT = 1_000  # what a request may ask for; a job file may say more
TAG_LIMIT = 10  # each is an entry in an index of its own
PARENT_LIMIT = 100  # the script that stores a job looks at each of them
OnFailure = Literal["cancel", "run", "wait"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a new job: when it may run and more, with the names and the limits that HTTP has.

    `key` is the caller's own name for this one job: stored again under the same key, the job that is there is returned.
    `timeout_seconds` of an attempt and `tries`, the first included, override the type's. While a job waits or runs
    under `unique_key`, it is returned instead of a new one; with `replace` a job that waits for its time becomes the
    new one. Raises ValueError for what can't be, and TypeError for what is of a wrong type.
    """

    delay_seconds: float | None = None
    run_at: datetime | None = None
    after: str | Sequence[str] | None = None
    on_failure: OnFailure = "cancel"
    tags: Sequence[str] = ()
    key: str | None = None
    expires_in_seconds: float | None = None
    timeout_seconds: int | None = None
    tries: int | None = None
    unique_key: str | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        _check_seconds("delay_seconds", self.delay_seconds, 0)
        _check_seconds("expires_in_seconds", self.expires_in_seconds, 1)
        if self.run_at is not None and self.run_at.tzinfo is None:
            raise ValueError("run_at has no time zone; give an aware one, in UTC for example")
        if self.delay_seconds is not None and self.run_at is not None:
            raise ValueError("give delay_seconds or run_at, not both")
        if self.parents and self.is_timed:
            raise ValueError("a job waits for others (after) or for a time (delay_seconds, run_at), not for both")
        if len(self.parents) > PARENT_LIMIT:
            raise ValueError(f"after has {len(self.parents)} ids; {PARENT_LIMIT} at most")
        if self.on_failure not in get_args(OnFailure):
            raise ValueError(f"on_failure is {self.on_failure!r}; give 'cancel', 'run' or 'wait'")
        _check_tags(self.tags)
        _check_number("timeout_seconds", self.timeout_seconds, TIMEOUT_LIMIT_SECONDS)
        _check_number("tries", self.tries, TRIES_LIMIT)
        self._check_unique()
        if self.key is not None and not 1 <= len(self.key) <= 255:
            raise ValueError(f"key has {len(self.key)} characters; give 1 to 255")

    def _check_unique(self) -> None:
        if self.unique_key is None:
            if self.replace:
                raise ValueError("replace is for jobs with a unique_key; give one")
            return
        if not re.fullmatch(WORD, self.unique_key):
            raise ValueError(f"unique_key is {self.unique_key!r:.80}; {WORDS}")
        if self.key is not None:
            raise ValueError("give key (the same job, ended or not) or unique_key (as long as it has not), not both")
        if self.replace and self.parents:
            raise ValueError("replace is for jobs that wait for a time, not for others; leave after out")

    @property
    def is_timed(self) -> bool:
        """Whether it waits for a time."""
        return bool(self.delay_seconds) or self.run_at is not None

    @property
    def parents(self) -> tuple[str, ...]:
        """The ids of the jobs that must finish first, each once."""
        given = [self.after] if isinstance(self.after, str) else self.after or ()
        return tuple(dict.fromkeys(map(_read_id, given)))

    def choose_id(self, path: str) -> str:
        """Return the new job's id: under a `key` always the same one for the same function, else one of its own."""
        return str(uuid4()) if self.key is None else str(uuid5(NAMESPACE_URL, f"errand:{path}\0{self.key}"))


def _check_seconds(name: str, seconds: float | None, least: int) -> None:
    if seconds is not None and not (math.isfinite(seconds) and least <= seconds <= FARTHEST_SECONDS):
        raise ValueError(f"{name} is {seconds}; give {least} to {FARTHEST_SECONDS:,} (ten years)")


def _check_number(name: str, number: int | None, most: int) -> None:
    if number is not None and not 1 <= number <= most:
        raise ValueError(f"{name} is {number}; give 1 to {most:,}")


def _read_id(id: str) -> str:
    try:
        return str(UUID(id))
    except ValueError:
        raise ValueError(f"after: {id!r:.80} is no job's id") from None


def _check_tags(tags: Sequence[str]) -> None:
    if isinstance(tags, str):
        raise TypeError(f"tags is one string; give a list: [{tags!r:.80}]")
    if len(tags) > TAG_LIMIT:
        raise ValueError(f"tags has {len(tags)} words; {TAG_LIMIT} at most")
    for tag in tags:
        if not re.fullmatch(WORD, tag):
            raise ValueError(f"tags: {tag!r:.80} is none; {WORDS}")


NAMES = frozenset(field.name for field in fields(Asked))
NOTHING = Asked()


def split(asked: Asked, options: Mapping[str, Any], parameters: Collection[str]) -> tuple[Asked, Mapping[str, Any]]:
    """Return `asked` with the options among keyword arguments, and the rest, which has all that are `parameters`."""
    own = {name: value for name, value in options.items() if name in NAMES and name not in parameters}
    if not own:
        return asked, options
    return replace(asked, **own), {name: value for name, value in options.items() if name not in own}
