"""From a runner that has too much memory to the next one, which takes jobs while those of the first one end."""

from collections.abc import Collection, Sequence
from contextlib import suppress

from redis import RedisError

from errand.worker.processes.handles import ChildProcess, RunnerProcess
from errand.worker.records import Records


class Handover:
    """Lets what such a runner still runs count as the next one's own, so that no more run at once than may."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._left: set[str] = set()
        self._taken: dict[str, int] = {}

    def begin(self, runners: Sequence[RunnerProcess], children: Sequence[ChildProcess]) -> tuple[str, ...]:
        """Return what others run than the runner that is now to start."""
        alone = {child.task.member for child in children}
        full = [runner for runner in runners if runner.taken is not None]
        for runner in full:
            self.note(runner)
        if full:
            with suppress(RedisError):
                held = self._records.hold()[1]
                self._left = {member for member in held if any(runner.holds(member) for runner in full)} - alone
        return (*alone, *self._left)

    def note(self, runner: RunnerProcess) -> None:
        """Count what a runner has taken that takes no more."""
        if runner.taken is not None:
            self._taken[runner.prefix] = runner.taken

    def count_left(self, most_jobs: int | None) -> int | None:
        """Return how many jobs the next runner may take of those that the plan lets the worker take."""
        return None if most_jobs is None else max(0, most_jobs - sum(self._taken.values()))

    def look(self, held: Collection[str], runners: Sequence[RunnerProcess]) -> None:
        """Tell the runners which of those jobs have ended."""
        ended = self._left.difference(held)
        self._left -= ended
        for runner in runners:
            for member in ended:
                runner.tell("free", member)
