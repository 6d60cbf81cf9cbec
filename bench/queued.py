"""A Redis that holds queued e-mail jobs: Errand's, stored by its own store, and RQ's."""

import time
from pathlib import Path
from statistics import mean

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue, Retry
from rq.job import Job as RQJob

from bench.server import Server
from bench.site import EMAIL
from errand import load_jobs
from errand.redis.connection import connect
from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings

EMAIL_JOB = load_jobs()["email"]
PAYLOAD = {"message": {**EMAIL, "to": [EMAIL["to"]]}}
AT_ONCE = 100
COPIES_AT_ONCE = 1000
SAMPLES = 200


def build_enqueuer(server: Server, redis: AsyncRedis) -> Enqueuer:
    """Return the API's enqueuer over `redis`."""
    return Enqueuer(redis, QueueSettings(REDIS_URL=server.url), {EMAIL_JOB.type: EMAIL_JOB})


async def store(server: Server, count: int) -> None:
    """Store e-mail jobs as a batch request does."""
    redis = connect(server.url)
    enqueuer = build_enqueuer(server, redis)
    for start in range(0, count, AT_ONCE):
        await enqueuer.store([NewJob(EMAIL_JOB, PAYLOAD) for _ in range(min(AT_ONCE, count - start))])
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


def wait_for_disk(redis: Redis, timeout_seconds: float = 120.0) -> None:
    """Wait until what was written is in the file, so that it does not slow what is measured next."""
    deadline = time.monotonic() + timeout_seconds
    while (info := redis.info("persistence"))["aof_rewrite_in_progress"] or info.get("aof_pending_bio_fsync"):
        if time.monotonic() > deadline:
            raise TimeoutError("the append-only file is still being written")
        time.sleep(0.1)


def measure_bytes(redis: Redis) -> int:
    """Return what the server's data takes, without the append-only file's buffer."""
    info = redis.info("memory")
    return int(info["used_memory"] - info["mem_not_counted_for_evict"])


def measure_hash_bytes(redis: Redis) -> float:
    """Return what Redis tells of a job's hash by MEMORY USAGE, the mean of some: it differs by a bucket."""
    ids = redis.lrange(Queue.redis_queue_namespace_prefix + EMAIL_JOB.queue.name, 0, SAMPLES - 1)
    return mean(redis.memory_usage(RQJob.key_for(id.decode()), samples=0) or 0 for id in ids)
