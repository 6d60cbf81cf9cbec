"""Jobs that RQ repeats, which only other producers store: RQ's own code records their ends."""

import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime

from rq import Worker
from rq.executions import Execution as RqExecution
from rq.job import Job

from errand.redis import keys
from errand.redis.failover import renew
from errand.worker.records import Exchange
from errand.worker.report import Report


class Repeats:
    """Records the ends that an exchange leaves to RQ, as the RQ worker that it is given would."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def reconnect(self) -> None:
        """Let that worker's client connect anew."""
        renew(self._worker.connection)

    def settle(self, reports: Sequence[Report], exchange: Exchange) -> bool:
        """Finish the jobs that repeat; return whether there were any. Raises RedisError."""
        repeats = [report for report, answer in zip(reports, exchange.answers, strict=True) if answer == "repeats"]
        for report in repeats:
            self._finish(report)
        return bool(repeats)

    def _finish(self, report: Report) -> None:
        """Record an end and queue the next run; RQ's transaction does not look at the lease, which ends right after."""
        job = self._fetch(report.execution.job_id)
        job.started_at = datetime.fromtimestamp(report.execution.started, UTC)
        job.ended_at = job.last_heartbeat = datetime.fromtimestamp(report.ended, UTC)
        job._result = json.loads(b64decode(report.value)) if report.value else None
        execution = RqExecution(report.execution.id, job.id, self._worker.connection, self._worker.name)
        execution.created_at = job.started_at
        queue = self._worker.queue_class(job.origin, connection=self._worker.connection, serializer="json")
        self._worker.handle_job_success(job, queue, queue.started_job_registry, execution)
        self._worker.connection.zrem(keys.LEASES, report.execution.member)

    def _fetch(self, id: str) -> Job:
        return self._worker.job_class.fetch(id, connection=self._worker.connection, serializer="json")
