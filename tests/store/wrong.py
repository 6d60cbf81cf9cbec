"""What Redis holds, and keys of a wrong type in it."""

from typing import Any

from redis import Redis


def spoil(redis: Redis, key: str, kind: str = "string") -> None:
    """Put a value of some type in a key's place."""
    redis.delete(key)
    if kind == "string":
        redis.set(key, "not ours")
    elif kind == "hash":
        redis.hset(key, "not", "ours")
    elif kind == "list":
        redis.rpush(key, "not ours")
    elif kind == "zset":
        redis.zadd(key, {"not ours": 1})
    else:
        redis.sadd(key, "not ours")


def read_all(redis: Redis) -> dict[str, Any]:
    """Return every key with its value."""
    return {key.decode(): _read(redis, key) for key in redis.scan_iter()}


def _read(redis: Redis, key: bytes) -> Any:
    kind = redis.type(key).decode()
    if kind == "hash":
        return redis.hgetall(key)
    if kind == "list":
        return redis.lrange(key, 0, -1)
    if kind == "zset":
        return redis.zrange(key, 0, -1, withscores=True)
    return redis.smembers(key) if kind == "set" else redis.get(key)
