"""The asynchronous connection to Redis."""

import re
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


def load_script(redis: Redis, *names: str) -> AsyncScript:
    """Return the Lua script in the files beside this one; it is loaded and sent again where the server lost it."""
    return redis.register_script("".join(map(read_script, names)))


def read_script(name: str) -> str:
    """Return the text of the Lua script beside this file, complete."""
    return complete_script(Path(__file__).with_name(name).read_text())


def complete_script(text: str) -> str:
    """Return a script's text with the files of this folder that it includes, and with RQ's prefix of keys."""
    text = re.sub(r"^-- include (\w+\.lua)$", lambda match: _read_part(match[1]), text, flags=re.M)
    return text.replace("'rq:", f"'{RQ_KEY_PREFIX}:")


def _read_part(name: str) -> str:
    """Return a file's text without the line that would make it a script of its own."""
    return re.sub(r"\A#!.*\n", "", Path(__file__).with_name(name).read_text())
