"""Jobs as RQ keeps them, in every state, put there without a worker process."""

from datetime import timedelta
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.job import Job

REGISTRIES = ("queued", "scheduled", "deferred", "started", "finished", "failed", "canceled")


class Stored:
    """Stores jobs in one queue."""

    def __init__(self, redis: Redis, queue: str = "default") -> None:
        self.redis = redis
        self.queue = Queue(queue, connection=redis, serializer="json")
        self._at_once = Queue(queue, connection=redis, serializer="json", is_async=False)

    def queued(self, value: Any = 1, **options: Any) -> Job:
        return self.queue.enqueue("copy.copy", value, **options)

    def finished(self, value: Any = 1, **options: Any) -> Job:
        """A job that returned `value`."""
        return self._at_once.enqueue("copy.copy", value, **options)

    def failed(self, value: str = "no number", **options: Any) -> Job:
        """A job whose traceback holds `value`."""
        return self._at_once.enqueue("builtins.int", value, failure_ttl=1000, **options)

    def scheduled(self) -> Job:
        return self.queue.enqueue_in(timedelta(hours=1), "copy.copy", 1)

    def deferred(self) -> Job:
        """A job that waits for one that is scheduled."""
        return self.queued(depends_on=self.scheduled())

    def orphaned(self) -> Job:
        """A job that waits for one that expired."""
        parent = self.scheduled()
        job = self.queued(depends_on=parent)
        parent.delete()
        return job

    def canceled(self) -> Job:
        job = self.scheduled()
        job.cancel()
        return job

    def started(self, value: Any = 1, **options: Any) -> Job:
        """A job that a worker of its own is running."""
        job = self.queued(value, **options)
        worker = Worker([self.queue], name=f"worker-{job.id}", connection=self.redis, serializer="json")
        worker.register_birth()
        worker.prepare_execution(job)
        worker.prepare_job_execution(job)
        self.queue.remove(job)
        return job

    def put_in(self, registry: str) -> Job:
        job: Job = getattr(self, registry)()
        return job
