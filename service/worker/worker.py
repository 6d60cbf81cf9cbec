"""The worker: RQ's own, made to serve this service's jobs and nothing else."""

import time
from typing import Any

from redis import RedisError
from rq import Queue, Worker
from rq.job import Job

from jobs import load_jobs
from service.worker.allowed import AllowedJob
from service.worker.damage import SafeQueue
from service.worker.dependents import cancel_dependents
from service.worker.due import DueJobs


class ErrandWorker(Worker):
    """Takes jobs as RQ's worker does, and moves due ones to their queues once a second."""

    def __init__(self, queues: list[Queue | str], *args: Any, **options: Any) -> None:
        # The rq command passes its own serializer and classes, even where the user named none.
        functions = {job.path: job.perform for job in load_jobs().values()}
        options["job_class"] = type("ErrandJob", (AllowedJob,), {"functions": functions})
        options["queue_class"] = SafeQueue
        options["serializer"] = "json"
        names = [queue if isinstance(queue, str) else queue.name for queue in queues]
        super().__init__(names, *args, **options)
        self._due = DueJobs(self.connection, self.queues)

    @property
    def dequeue_timeout(self) -> int:
        """Seconds to wait for a job before looking round; RQ waits 405, and its socket as long for an answer."""
        return 1

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """Wait for a job in turns of a second, and give None between two of them once a stop was asked for."""
        if timeout is None:  # burst mode does not wait
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        idle_since = time.monotonic()
        while not self._stop_requested:
            if found := super().dequeue_job_and_maintain_ttl(timeout, 1):
                return found
            if max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time:
                break
        return None

    def _shutdown(self) -> None:
        """Note that a stop was asked for; RQ raises in the middle of a call, and a job just taken would be lost."""
        self._stop_requested = True

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell Redis that this worker lives, and move due jobs: RQ calls this at least before each wait."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None:
            self._due.move()

    def handle_job_failure(self, job: Job, queue: Queue, *args: Any, **options: Any) -> None:
        """Record a failure as RQ does; one for good cancels what waits for the job."""
        for_good = self._stopped_job_id == job.id or not job.should_retry
        super().handle_job_failure(job, queue, *args, **options)
        if for_good:
            cancel_dependents(job)

    def run_maintenance_tasks(self) -> None:
        """Clean RQ's registries; a damaged record found there ends this round, not the worker."""
        try:
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        except RedisError:
            raise
        except Exception:
            self.log.exception("Worker %s: maintenance stopped at a damaged record", self.name)
