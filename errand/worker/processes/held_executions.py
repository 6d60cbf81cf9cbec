"""What a worker holds, and what of it is past its time."""

from collections.abc import Mapping


class HeldExecutions:
    """Members with their time-outs; their time is counted by a clock that stands still while Redis is away."""

    def __init__(self) -> None:
        self.members: Mapping[str, float] = {}
        self._seen_at: dict[str, float] = {}

    def note(self, members: Mapping[str, float], clock_seconds: float) -> None:
        """Note what is held now."""
        self.members = members
        self._seen_at = {member: self._seen_at.get(member, clock_seconds) for member in members}

    def list_overdue(self, clock_seconds: float) -> list[tuple[str, float]]:
        """Return those that have been held for longer than their time-outs, with these, in seconds."""
        return [
            (member, timeout_seconds)
            for member, timeout_seconds in self.members.items()
            if clock_seconds - self._seen_at[member] > timeout_seconds
        ]
