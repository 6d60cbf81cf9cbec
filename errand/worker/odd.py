"""The odd case goes through RQ's own code: repeats, which only jobs of other producers have."""

import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime

from rq import Worker
from rq.executions import Execution
from rq.job import Job

from errand.redis import keys
from errand.redis.failover import renew
from errand.worker.execution import Word
from errand.worker.records import Turn


class Odd:
    """Does what a turn left over, as the RQ worker that it is given would."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def reconnect(self) -> None:
        """Let that worker's client connect anew."""
        renew(self._worker.connection)

    def settle(self, words: Sequence[Word], turn: Turn) -> bool:
        """Finish repeating jobs; return whether there were any. Raises RedisError."""
        odd = [word for word, answer in zip(words, turn.answers, strict=True) if answer == "odd"]
        for word in odd:
            self._finish(word)
        return bool(odd)

    def _finish(self, word: Word) -> None:
        """Record an end that RQ repeats; its transaction does not look at the lease, which ends right after."""
        job = self._fetch(word.task.id)
        job.started_at = datetime.fromtimestamp(word.task.started, UTC)
        job.ended_at = job.last_heartbeat = datetime.fromtimestamp(word.ended, UTC)
        job._result = json.loads(b64decode(word.value)) if word.value else None
        execution = Execution(word.task.execution, job.id, self._worker.connection, self._worker.name)
        execution.created_at = job.started_at
        queue = self._worker.queue_class(job.origin, connection=self._worker.connection, serializer="json")
        self._worker.handle_job_success(job, queue, queue.started_job_registry, execution)
        self._worker.connection.zrem(keys.LEASES, word.task.member)

    def _fetch(self, id: str) -> Job:
        return self._worker.job_class.fetch(id, connection=self._worker.connection, serializer="json")
