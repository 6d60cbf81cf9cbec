"""`errand check`: whether a release could run here."""

from typing import Protocol, runtime_checkable

from redis import RedisError

from service.api.settings import ApiSettings
from service.queue.catalog import read_catalog
from service.queue.connection import connect
from service.queue.server import EvictingServerError, check_server
from service.queue.settings import QueueSettings, SettingsError, read_settings


@runtime_checkable
class Probing(Protocol):
    """A job's settings that can try what they point to."""

    def probe(self) -> None:
        """Try it; raise what is wrong."""


async def check_everything() -> tuple[list[str], bool]:
    """Return a line a finding, and whether a release may go on."""
    lines: list[str] = []
    try:
        types = read_catalog()
        read_settings(ApiSettings, "the API").check()
        queue = read_settings(QueueSettings, "the API and the workers")
    except SettingsError as error:
        return [f"FAIL  settings: {line}" for line in str(error).splitlines()], False
    lines.append(f"ok    settings, and {len(types)} job types: {', '.join(types)}")
    sound = await _check_redis(queue, lines)
    for kind in dict.fromkeys(job.settings for job in types.values() if job.settings):
        settings = kind()
        if isinstance(settings, Probing):
            try:
                settings.probe()
                lines.append(f"ok    {kind.__name__}: the server answers")
            except Exception as error:  # a probe may raise anything, and each is a warning
                lines.append(f"WARN  {kind.__name__}: {error}")
    return lines, sound


async def _check_redis(queue: QueueSettings, lines: list[str]) -> bool:
    redis = connect(queue.redis_url)
    try:
        found = await check_server(redis)
    except (RedisError, EvictingServerError) as error:
        lines.append(f"FAIL  Redis: {error}")
        return False
    finally:
        await redis.aclose()
    lines.append(f"{'ok   ' if found.survives_power_cut else 'WARN '} Redis: {found.reason}")
    return True
