"""A key that has a value of a wrong type: which one, and what to do about it. One stops what is in it, and no more."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis.exceptions import ResponseError

T = TypeVar("T")
_NAMED = re.compile(r"WRONGTYPE key (?P<key>.+) is a (?P<type>\w+), not a (?P<expected>\w+)", re.S)
_WORD = re.compile(r"\bWRONGTYPE\b")
UNNAMED = "A key in Redis has a value of a wrong type; /readyz names it, and what to do"


@dataclass(frozen=True)
class WrongKey:
    """A key with a value of one of Redis' types where another is expected, each as TYPE names it."""

    key: str
    type: str
    expected: str

    @property
    def remedy(self) -> str:
        """What puts an end to it, and loses nothing."""
        return f"look at it, then move it away: RENAME {quote(self.key)} {quote('wrong:' + self.key)}"

    def describe(self) -> str:
        """Return it in a sentence, without a full stop."""
        return f"The key {self.key} in Redis is a {self.type}, not a {self.expected}; {self.remedy}"


def is_wrong_type(error: BaseException) -> bool:
    """Return whether an error of redis-py says that a key has a value of a wrong type."""
    return _WORD.search(str(error)) is not None


def read_wrong(error: BaseException) -> WrongKey | None:
    """Return the key that an error of one of our scripts names (lib/store/wrong_type.lua), None where it names none."""
    found = _NAMED.search(str(error))
    return WrongKey(**found.groupdict()) if found else None


def describe_wrong(error: BaseException) -> str:
    """Return what is the matter and what to do, without a full stop, for an error of which `is_wrong_type` is true."""
    wrong = read_wrong(error)
    return wrong.describe() if wrong else UNNAMED


def read_wrong_keys(answer: Sequence[bytes]) -> list[WrongKey]:
    """Return the keys that scripts/observe/keys.lua has found, by their names."""
    texts = [text.decode(errors="replace") for text in answer]
    return sorted((WrongKey(*texts[at : at + 3]) for at in range(0, len(texts), 3)), key=lambda one: one.key)


def do_each(steps: Iterable[Callable[[], T]]) -> list[T]:
    """Do every step, even where another one meets a key of a wrong type; return their answers.

    Raises the first ResponseError of such a key when all are done, and anything else at once.
    """
    answers, fault = [], None
    for step in steps:
        try:
            answers.append(step())
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            fault = fault or error
    if fault is not None:
        raise fault
    return answers


def quote(key: str) -> str:
    """Return a key as redis-cli takes it."""
    return key if re.fullmatch(r"[\w:.@~*-]+", key) else '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'
