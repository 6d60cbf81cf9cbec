"""Exchanging reports for jobs with Redis, and the protocol for a reply that is lost."""

from collections.abc import Sequence
from secrets import token_hex

from redis import RedisError

from errand.worker.processes.outage import Pause
from errand.worker.records import Asking, Exchange, Records
from errand.worker.repeats import Repeats
from errand.worker.report import Report
from errand.worker.served import ServedQueues


class Exchanger:
    """Calls Redis for a runner, whose executions have ids that begin with `prefix`.

    Where a reply doesn't come, nobody knows what was recorded and taken: after `pause` the next call says the same
    again, under the same ids, until Redis has answered.
    """

    def __init__(self, records: Records, repeats: Repeats, queues: ServedQueues, prefix: str) -> None:
        self.pause = Pause()
        self.is_unanswered = False
        self._records, self._repeats = records, repeats
        self._queues, self._prefix = queues, prefix
        self._ids: list[str] = []
        self._is_resent = False

    @property
    def asked(self) -> int:
        """How many jobs the last call asked for."""
        return len(self._ids)

    def exchange(self, reports: Sequence[Report], free: int, is_closed: bool) -> tuple[Exchange, bool] | None:
        """Record `reports` and take a job for each of `free` places; None where there is nothing to do, or no answer.

        After a call without an answer the jobs asked for are the same as then, or with `is_closed` those that it did
        take. Returned is also whether the reports had been sent before.
        """
        if not self.is_unanswered:
            tails = token_hex(12 * free)
            self._ids = [self._prefix + tails[24 * i : 24 * i + 24] for i in range(free)]
        if not reports and not self._ids:
            return None
        asking = Asking.FIRST if not self.is_unanswered else Asking.WHAT_WAS_TAKEN if is_closed else Asking.AGAIN
        try:
            exchange = self._records.exchange(reports, self._ids, self._queues, asking)
        except RedisError as error:
            self.is_unanswered = bool(self._ids)
            self._is_resent = True
            self.pause.prolong(error)
            return None
        self.pause.end()
        is_resent, self._is_resent, self.is_unanswered = self._is_resent, False, False
        self._queues.rotate(exchange.executions)
        return exchange, is_resent

    def repeat(self, reports: list[Report], exchange: Exchange) -> tuple[bool, list[Report]]:
        """Let RQ's code record ends of jobs that repeat; return whether there were any, and those still to record."""
        try:
            return self._repeats.settle(reports, exchange), []
        except RedisError as error:
            self.pause.prolong(error)
            return False, [
                report for report, answer in zip(reports, exchange.answers, strict=True) if answer == "repeats"
            ]
