"""`errand check`: whether a release could run here."""

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from redis import RedisError

from errand.api.settings import ApiSettings
from errand.contract.catalog import read_catalog
from errand.redis.server import EvictingServerError, check_url
from errand.redis.settings import SettingsError, read_settings
from errand.store.settings import QueueSettings

T = TypeVar("T")


@runtime_checkable
class Probing(Protocol):
    """A job's settings that can try what they point to."""

    def probe(self) -> None:
        """Try it; raise what is wrong."""


async def check_everything() -> tuple[list[str], bool]:
    """Return a line a finding, and whether a release may go on."""
    faults: list[str] = []
    types = _attempt(read_catalog, faults)
    _attempt(lambda: read_settings(ApiSettings, "the API").check(), faults)
    queue = _attempt(lambda: read_settings(QueueSettings, "Errand"), faults)
    if types is None or queue is None or faults:
        return [f"FAIL  settings: {fault}" for fault in faults], False
    lines = [f"ok    settings, and {len(types)} job types: {', '.join(types)}"]
    sound = await _check_redis(queue, lines)
    for kind, name in {job.settings: job.type for job in types.values() if job.settings}.items():
        settings = kind()
        if isinstance(settings, Probing):
            try:
                settings.probe()
                lines.append(f"ok    {name}: the server answers")
            except Exception as error:  # a probe may raise anything, and each is a warning
                lines.append(f"WARN  {name}: {error}")
    return lines, sound


def _attempt(read: Callable[[], T], faults: list[str]) -> T | None:
    """Return what `read` gives; what is wrong goes to `faults`, so that all of it is told at once."""
    try:
        return read()
    except SettingsError as error:
        faults += str(error).splitlines()
        return None


async def _check_redis(queue: QueueSettings, lines: list[str]) -> bool:
    try:
        found = await check_url(queue.redis_url)
    except (RedisError, EvictingServerError, OSError, ValueError) as error:  # ValueError: a URL that can't be read
        lines.append(f"FAIL  Redis: {error}")
        return False
    lines.append(f"{'ok   ' if found.survives_power_cut else 'WARN '} Redis: {found.reason}")
    return True
