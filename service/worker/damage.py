"""Going on where RQ 3.0.0 ends the worker: at a job's record that can't be read."""

import json
import logging
from typing import Any

from redis import RedisError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job

logger = logging.getLogger("rq.worker")


class SafeQueue(Queue):
    """RQ's queue; a damaged job that comes off it is set aside and the next one taken."""

    @classmethod
    def _fetch_dequeued_job(cls, connection: Any, queue_key: str, job_id: str, *args: Any, **options: Any) -> Any:
        try:
            found = super()._fetch_dequeued_job(connection, queue_key, job_id, *args, **options)
            if found is None and connection.exists(Job.key_for(job_id)):
                raise NoSuchJobError("there is no data in it")
            if found is not None:
                found[0].func_name  # noqa: B018 - reads the payload, which may be damaged too
            return found
        except Exception as error:  # whatever is wrong with one record must not end the worker
            if isinstance(error, RedisError) and "WRONGTYPE" not in str(error):
                raise
            set_aside(connection, queue_key, job_id, error)
            return None


def set_aside(connection: Any, queue_key: str, job_id: str, error: Exception) -> None:
    """Leave a damaged job where it is: off the queue, failed, with the reason."""
    cause = error.__cause__ or error
    reason = f"its record can't be read: {type(cause).__name__}: {str(cause)[:300]}"
    logger.error("Job %s is set aside: %s", job_id, reason)
    key = Job.key_for(job_id)
    with connection.pipeline() as pipeline:
        pipeline.lrem(f"{queue_key}:intermediate", 1, job_id)
        if connection.type(key) == b"hash":
            error_shown = json.dumps({"type": "DamagedJob", "message": reason})
            pipeline.hset(key, mapping={"status": "failed", "errand_error": error_shown})
        pipeline.execute()
