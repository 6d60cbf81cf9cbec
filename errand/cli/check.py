"""`errand check`: whether a release could run here, and whether a worker runs on this host."""

import socket
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, TypeVar, runtime_checkable

from redis import RedisError

from errand.api.settings import ApiSettings
from errand.app.errand import Errand
from errand.contract.catalog import check_settings
from errand.local.own_app.faults import describe
from errand.redis.clock import Clock
from errand.redis.connection import connect
from errand.redis.server import EvictingServerError, check_url
from errand.redis.settings import SettingsError, read_settings
from errand.store.observe.live import find_live_since
from errand.store.settings import QueueSettings
from errand.store.workers import WorkerReader
from errand.worker.settings import WorkerSettings

T = TypeVar("T")


@runtime_checkable
class Probing(Protocol):
    """A job's settings that can try what they point to."""

    def probe(self) -> None:
        """Try it; raise what is wrong."""


async def check_everything(errand: Errand, has_api: bool = True, has_service: bool = False) -> tuple[list[str], bool]:
    """Return a line for each finding, and whether a release of these jobs may go on.

    `has_api`: the release has an API, whose settings are checked too. `has_service`: what is released is this folder's
    service/app.py, which is imported.
    """
    faults: list[str] = []
    broken = _import_service() if has_service else []
    types = _attempt(lambda: errand.types, faults)
    _attempt(lambda: check_settings((types or {}).values()), faults)
    _attempt(lambda: read_settings(WorkerSettings, "the worker"), faults)
    if has_api:
        _attempt(lambda: read_settings(ApiSettings, "the API").check(), faults)
    url = _attempt(lambda: _read_url(errand), faults)
    if types is None or url is None or faults or broken:
        named = [*(("service", fault) for fault in broken), *(("settings", fault) for fault in faults)]
        return [f"FAIL  {name}: {fault}" for name, fault in named], False
    lines = [f"ok    settings, and {len(types)} job types: {', '.join(types)}"]
    sound = await _check_redis(url, lines)
    for kind, name in {job.options.settings: job.type for job in types.values() if job.options.settings}.items():
        settings = kind()
        if isinstance(settings, Probing):
            try:
                settings.probe()
                lines.append(f"ok    {name}: the server answers")
            except Exception as error:  # a probe may raise anything, and all of it is a warning
                lines.append(f"WARN  {name}: {error}")
    return lines, sound


async def check_worker(errand: Errand) -> tuple[str, bool]:
    """Return a line about the workers of this host, found by its name, and whether one runs.

    While Redis is away that can't be known. It counts as running then: a worker waits for Redis, and to restart it
    would not help.
    """
    clock, host = Clock(), socket.gethostname()
    try:
        async with connect(_read_url(errand)) as redis:
            workers = await WorkerReader(redis, clock).read_all()
    except SettingsError as error:
        return f"FAIL  settings: {error}", False
    except (RedisError, OSError, ValueError) as error:
        return f"WARN  Redis: {error}; workers wait for it", True
    live = [
        worker.name for worker in workers if worker.hostname == host and worker.heartbeat_at >= find_live_since(clock)
    ]
    return (f"ok    worker: {', '.join(live)}", True) if live else (f"FAIL  worker: none runs on {host}", False)


def _import_service() -> list[str]:
    """Return what is wrong with service/app.py, if there is one: after a merge it may import what is gone."""
    try:
        if find_spec("service") and find_spec("service.app"):
            import_module("service.app")
    except Exception as error:  # importing a module may raise anything
        return describe(error).splitlines()
    return []


def _read_url(errand: Errand) -> str:
    """Return where its jobs are kept. Raises SettingsError, without the package of the Errand, which may be ours."""
    try:
        return errand.redis_url
    except SettingsError:
        return read_settings(QueueSettings, "Errand").redis_url


def _attempt(read: Callable[[], T], faults: list[str]) -> T | None:
    """Return what `read` gives; what is wrong goes to `faults`, so that all of it is shown at once."""
    try:
        return read()
    except SettingsError as error:
        faults += str(error).splitlines()
        return None


async def _check_redis(url: str, lines: list[str]) -> bool:
    try:
        found = await check_url(url)
    except (RedisError, EvictingServerError, OSError, ValueError) as error:  # ValueError: a URL that can't be read
        lines.append(f"FAIL  Redis: {error}")
        return False
    lines.append(f"{'ok   ' if found.survives_power_cut else 'WARN '} Redis: {found.reason}")
    return True
