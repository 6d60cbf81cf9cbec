"""How many jobs wait in Redis, whatever the system."""

from redis import Redis

from bench.server import Server


class LostJobError(Exception):
    """Raised when Redis does not hold what was answered with 202."""


def check_stored(server: Server, answered: int, unheard: int) -> None:
    """Check that a job is stored for each one that was answered for, and no more than those and `unheard`.

    Those are the requests on their way when wrk stops: they are stored, and wrk does not count their answers.
    Raises LostJobError.
    """
    with server.connect() as redis:
        stored = count_stored(redis)
    if not answered <= stored <= answered + unheard:
        raise LostJobError(
            f"{answered} jobs were answered for with 202, at most {unheard} more sent; {stored} are stored"
        )


def count_stored(redis: Redis) -> int:
    """Return the length of the longest list, sorted set or stream: in every system that is the queue."""
    measures = {"list": redis.llen, "zset": redis.zcard, "stream": redis.xlen}
    lengths = [measure(key) for kind, measure in measures.items() for key in redis.scan_iter(count=10_000, _type=kind)]
    return max(lengths, default=0)
