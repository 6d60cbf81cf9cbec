"""Types whose jobs are held because what they work with is down."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class HeldType:
    """A type that is held, since when (RFC 3339) and why; one that is held for several services comes once for each."""

    type: str
    since: str
    reason: str
