"""A Redis that holds queued e-mail jobs: Errand's, stored by its own store, and RQ's."""

from pathlib import Path
from statistics import mean
from typing import Any

from redis import Redis
from rq import Queue, Retry
from rq.job import Job as RQJob

from bench.server import Server
from bench.site import EMAIL
from bench.waiting import wait_until
from errand import load_jobs
from errand.contract.job import Job
from errand.redis.connection import connect
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from errand.worker.records import Lifetimes

EMAIL_JOB = load_jobs()["email"]
PAYLOAD = {"message": {**EMAIL, "to": [EMAIL["to"]]}}
AT_ONCE = 100  # jobs that one call stores
COPIES_AT_ONCE = 1000  # made by one script
SAMPLES = 200  # hashes of which the mean is taken
DISK_SECONDS = 120.0  # for a gigabyte, on a slow disk
LIFETIMES = Lifetimes(lease_seconds=10, result_seconds=24 * 3600, failure_seconds=30 * 24 * 3600, worker_seconds=60)


async def store(url: str, job: Job[..., Any], payload: dict[str, Any], count: int) -> None:
    """Store jobs of one payload as a batch request does."""
    redis = connect(url)
    enqueuer = Enqueuer(redis, QueueSettings(REDIS_URL=url), {job.type: job})
    for start in range(0, count, AT_ONCE):
        await enqueuer.store([NewJob(job, payload) for _ in range(min(AT_ONCE, count - start))])
    await redis.aclose()


def store_as_rq(server: Server, count: int) -> None:
    """Store the same by RQ's own `Queue.enqueue`: function, arguments, times, tries and description are Errand's."""
    settings = QueueSettings(REDIS_URL=server.url)
    with server.connect() as redis:
        queue = Queue(EMAIL_JOB.queue.name, connection=redis, serializer="json")
        for _ in range(count):
            waits = EMAIL_JOB.retry.draw_seconds()
            queue.enqueue(
                EMAIL_JOB.path,
                kwargs=PAYLOAD,
                job_timeout=EMAIL_JOB.timeout_seconds,
                result_ttl=settings.result_ttl_seconds,
                failure_ttl=settings.failure_ttl_seconds,
                description=EMAIL_JOB.type,
                retry=Retry(len(waits), waits),
            )


def multiply(redis: Redis, count: int) -> None:
    """Bring the queue to `count` jobs by copies of its first one."""
    list_key = Queue.redis_queue_namespace_prefix + EMAIL_JOB.queue.name
    hash_key = RQJob.key_for(redis.lindex(list_key, 0).decode())
    copy = redis.register_script(Path(__file__).with_name("queued.lua").read_text())
    for first in range(redis.llen(list_key), count, COPIES_AT_ONCE):
        last = min(first + COPIES_AT_ONCE, count) - 1
        copy(keys=[hash_key, list_key], args=[RQJob.redis_job_namespace_prefix, first, last])
    assert redis.llen(list_key) == count


def wait_for_disk(redis: Redis) -> None:
    """Wait until what was written is in the file, or it would slow what is measured next. Raises TimeoutError."""

    def is_written() -> bool:
        info = redis.info("persistence")
        return not (info["aof_rewrite_in_progress"] or info.get("aof_pending_bio_fsync"))

    wait_until(is_written, "the append-only file is still being written", DISK_SECONDS, look_seconds=0.1)


def measure_bytes(redis: Redis) -> int:
    """Return what the server's data takes, without the append-only file's buffer."""
    info = redis.info("memory")
    return int(info["used_memory"] - info["mem_not_counted_for_evict"])


def measure_hash_bytes(redis: Redis) -> float:
    """Return what a job's hash takes by MEMORY USAGE, the mean of some: it differs by a bucket."""
    ids = redis.lrange(Queue.redis_queue_namespace_prefix + EMAIL_JOB.queue.name, 0, SAMPLES - 1)
    return mean(redis.memory_usage(RQJob.key_for(id.decode()), samples=0) or 0 for id in ids)
