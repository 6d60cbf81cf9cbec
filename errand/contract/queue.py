"""A queue, by its name; settings for a whole queue would go here."""

import re
from dataclasses import dataclass

DEFAULT = "default"


@dataclass(frozen=True, order=True)
class Queue:
    """A queue. Raises ValueError for a name that no queue can have."""

    name: str = DEFAULT

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name):
            raise ValueError("use lower-case letters, digits, - and _")
