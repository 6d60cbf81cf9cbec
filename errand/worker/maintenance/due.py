"""Moving due jobs (delays, `run_at`, retries) to their queues: any number of workers may do it at once."""

from functools import partial

from redis import Redis
from rq import Queue
from rq.scheduler import RQScheduler

from errand.redis.lua.loader import read_script
from errand.redis.wrong_type import do_each

MOST_AT_ONCE = 500  # a script holds up everybody else
MOST_ROUNDS = 40  # 20,000 jobs of one queue a beat: the supervisor has leases to renew
LOCK_SECONDS = 5  # ten beats: a plain scheduler does not take over from a worker that lives
TAKE_OVER_MS = 1500  # a plain scheduler looks at its lock once a second


class DueJobs:
    """Moves those of some queues."""

    def __init__(self, redis: Redis, queues: list[Queue]) -> None:
        self._script = redis.register_script(read_script("worker/due"))
        self._queues = queues

    def move(self) -> int:
        """Move what is due; return how many jobs. Raises RedisError."""
        return sum(do_each(partial(self._move_all, queue) for queue in self._queues))

    def _move_all(self, queue: Queue) -> int:
        moved = 0
        for _ in range(MOST_ROUNDS):
            step = self._move(queue)
            moved += step
            if step < MOST_AT_ONCE:
                break
        return moved

    def _move(self, queue: Queue) -> int:
        lock = RQScheduler.get_locking_key(queue.name)
        moved: int = self._script(keys=[lock], args=[queue.name, MOST_AT_ONCE, LOCK_SECONDS, TAKE_OVER_MS])
        return moved
