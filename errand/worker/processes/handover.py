"""From a runner that has too much memory to the next one, which takes jobs while those of the first one end."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex

from redis import RedisError

from errand.worker.processes.process_handles import ChildProcess, RunnerProcess
from errand.worker.records import Records
from errand.worker.runner_plan import Plan


class Handover:
    """Lets what such a runner still runs count as the next one's own, so that no more run at once than may."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._left: set[str] = set()
        self._taken: dict[str, int] = {}

    def plan(self, plan: Plan, runners: Sequence[RunnerProcess], children: Sequence[ChildProcess]) -> Plan:
        """Return what the next runner is to do, of all that the worker is to do."""
        alone = {child.execution.member for child in children}
        full = [runner for runner in runners if runner.taken is not None]
        for runner in full:
            self.note(runner)
        if full:
            with suppress(RedisError):
                held = self._records.leases.renew()[1]
                self._left = {member for member in held if any(runner.holds(member) for runner in full)} - alone
        most_jobs = None if plan.most_jobs is None else max(0, plan.most_jobs - sum(self._taken.values()))
        return replace(plan, prefix=token_hex(4), busy=(*alone, *self._left), most_jobs=most_jobs)

    def note(self, runner: RunnerProcess) -> None:
        """Count what a runner that takes no more has taken."""
        if runner.taken is not None:
            self._taken[runner.prefix] = runner.taken

    def look(self, held: Collection[str], runners: Sequence[RunnerProcess]) -> None:
        """Free the places of those jobs that have ended."""
        ended = self._left.difference(held)
        self._left -= ended
        for runner in runners:
            for member in ended:
                runner.send("free", member)
