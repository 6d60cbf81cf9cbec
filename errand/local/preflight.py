"""What is checked before `errand up` starts anything."""

import asyncio
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from redis import RedisError

from errand.api.settings import ApiSettings
from errand.contract.catalog import read_catalog
from errand.local.settings import UpOptions
from errand.redis.environment import is_set
from errand.redis.server import EvictingServerError, check_url
from errand.redis.settings import SettingsError, read_settings
from errand.store.settings import QueueSettings


class CannotStartError(Exception):
    """Raised when `errand up` can't start; the text says what to do."""


def check_settings(options: UpOptions, environment: Mapping[str, str]) -> None:
    """Read the settings as the processes will, once and before they start. Raises CannotStartError."""
    os.environ.clear()  # so that what the demo leaves out is not read here
    os.environ.update(options.complete(environment, "unix:///checked", "smtp://127.0.0.1"))
    try:
        read_catalog()
        read_settings(ApiSettings, "the API").check()
    except SettingsError as error:
        raise CannotStartError(str(error)) from error
    check_redis(environment)


def check_redis(environment: Mapping[str, str]) -> None:
    """Check the server at REDIS_URL, if it is set. Raises CannotStartError."""
    if is_set("REDIS_URL", environment):
        try:
            queue = read_settings(QueueSettings, "Errand")
        except SettingsError as error:
            raise CannotStartError(str(error)) from error
        asyncio.run(_check_redis(queue.redis_url))


async def _check_redis(url: str) -> None:
    try:
        await check_url(url)
    except EvictingServerError as error:
        raise CannotStartError(str(error)) from error
    except (RedisError, OSError, ValueError) as error:
        raise CannotStartError(f"REDIS_URL is set, and no Redis answers there: {error}") from error


def check_port(options: UpOptions) -> None:
    """Check that the port is free. Raises CannotStartError."""
    take_port(options).close()


def take_port(options: UpOptions) -> socket.socket:
    """Return a socket that has the port and does not listen yet. Raises CannotStartError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            return taken
        except OSError:
            taken.close()
            raise
    except OSError as error:
        raise CannotStartError(
            f"port {options.port} on {options.host} can't be used: {error.strerror}; "
            f"choose another: {options.on_next_port}"
        ) from error


@contextmanager
def lock_data(options: UpOptions) -> Iterator[None]:
    """Keep a second Errand out of the data folder. Raises CannotStartError."""
    try:
        options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (options.data / ".gitignore").write_text("*\n")
        lock = (options.data / "lock").open("w")
    except OSError as error:
        raise CannotStartError(f"the data folder {options.data}/ can't be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStartError(
                f"another Errand is running in {options.data}/; give this one a folder of its own: "
                f"--data {options.data}-{options.port}"
            ) from None
        yield
