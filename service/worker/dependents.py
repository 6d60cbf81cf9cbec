"""What becomes of the jobs that wait for one that failed for good."""

import json

from rq.job import Job, JobStatus


def cancel_dependents(job: Job) -> None:
    """Cancel, all the way down, the jobs that can't run any more; RQ 3.0.0 leaves them waiting for ever."""
    for id in job.dependent_ids:
        dependent = type(job).fetch_many([id], connection=job.connection, serializer=job.serializer)[0]
        if dependent is None or dependent.allow_dependency_failures:
            continue
        if dependent.get_status(refresh=False) == JobStatus.DEFERRED:
            dependent.cancel()
            error = {"type": "Canceled", "message": f"it waited for job {job.id}, which did not succeed"}
            with job.connection.pipeline() as pipeline:
                pipeline.hset(dependent.key, "errand_error", json.dumps(error))
                if job.failure_ttl:
                    pipeline.expire(dependent.key, job.failure_ttl)
                pipeline.execute()
            cancel_dependents(dependent)
