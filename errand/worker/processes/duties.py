"""What a worker does beside running jobs."""

from typing import Protocol


class Duties(Protocol):
    """What else a beat of the supervisor does, in RQ's own classes. Every method may raise RedisError."""

    def register_again(self) -> None:
        """Make the worker known to RQ again, where its record has gone."""

    def run_chores(self) -> bool:
        """Move due jobs, serve schedules, clean RQ's registries; return whether it is to go on at once."""

    def reconnect(self) -> None:
        """Let its clients connect anew."""
