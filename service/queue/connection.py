"""The asynchronous connection to Redis."""

from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.commands.core import AsyncScript
from rq.defaults import RQ_KEY_PREFIX

# Together they stay under the 2 s within which a Redis that is away becomes a 503.
ANSWER_SECONDS = 1.5
CONNECT_SECONDS = 1.0


def connect(url: str) -> Redis:
    """Return a client with a pool of its own; nothing is sent yet.

    A command is sent once more where a kept connection turns out to be dead, which every script of ours allows.
    """
    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(ConstantBackoff(0.05), retries=1),
        client_name="errand-api",
    )


def load_script(redis: Redis, name: str) -> AsyncScript:
    """Return the Lua script beside this file; it is loaded and sent again by itself where the server lost it."""
    return redis.register_script(read_script(name))


def read_script(name: str) -> str:
    """Return the text of the Lua script beside this file, with RQ's prefix of keys."""
    return Path(__file__).with_name(name).read_text().replace("'rq:", f"'{RQ_KEY_PREFIX}:")
