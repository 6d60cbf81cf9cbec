"""`/console`: alerts first, then counts, queues, workers and failures."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from errand.api.console.formatting import read_moment
from errand.api.console.page import Content, Look, View
from errand.api.console.views.jobs import CHIPS
from errand.api.console.views.stats import DEFAULT, PERIODS, read_stats
from errand.api.routes.health import NEARLY_FULL, UNSERVED_SECONDS
from errand.redis.memory import FullRedisError
from errand.store.observe.failures import FailureGroup
from errand.store.observe.health import Health
from errand.store.queues import QueueStatus

GROUPS_SECONDS = 10.0  # so old groups may be: 1,000 jobs are read for them
GROUPS_SHOWN = 8
GROUPS_JOBS = 1000  # looked at; 10,000 would take Redis 100 ms
STATUSES = [status for status in CHIPS if status != "stopped"]  # RQ counts the stopped among the failed


@dataclass(frozen=True)
class Alert:
    """Something that holds up jobs, or soon will; `since` is a time, `queue` a queue whose jobs wait."""

    level: Literal["down", "warning"]
    title: str
    text: str
    since: str | None = None
    queue: str | None = None


async def read_overview(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    store, asked = look.store, look.query.get("period", DEFAULT)
    period = asked if asked in PERIODS else DEFAULT
    health, queues, workers, stats, groups, alert = await asyncio.gather(
        store.observe.health.read(),
        store.queues.read_all(),
        store.workers.read_all(),
        read_stats(look, period),
        look.cache.get("groups", GROUPS_SECONDS, lambda: _read_groups(look)),
        _check_memory(look),
    )
    alerts = [*filter(None, [alert]), *_list_alerts(look, health, queues)]
    counts = Counter(dict.fromkeys(STATUSES, 0))
    for queue in queues:
        counts.update({status: count for status, count in queue.jobs.items() if status in STATUSES})
    return Content(
        "Overview",
        {
            "alerts": {"alerts": sorted(alerts, key=lambda one: one.level != "down")},
            "counts": {"counts": counts},
            "stats": {"stats": stats},
            "queues": {"queues": queues},
            "workers": {"workers": workers},
            "groups": {"groups": groups},
        },
        {"period": period, "periods": PERIODS},
    )


async def _check_memory(look: Look) -> Alert | None:
    memory = look.store.enqueuer.memory
    try:
        await memory.check()
    except FullRedisError as error:
        return Alert("down", "Redis is nearly full", f"{error}")
    ratio = memory.ratio or 0
    return (
        Alert("warning", "Redis is filling up", f"{ratio:.0%} of its memory is used") if ratio >= NEARLY_FULL else None
    )


def _list_alerts(look: Look, health: Health, queues: Iterable[QueueStatus]) -> Iterator[Alert]:
    if not health.workers:
        yield Alert("down" if health.stuck else "warning", "No worker runs", "Jobs wait until one is started")
    for held in health.held:
        yield Alert("down", f"{held.type} is held", held.reason, held.since)
    for queue in queues:
        if queue.why and (health.workers or queue.why.verdict != "no_worker"):
            text = f"{queue.why.jobs:,} {'job waits' if queue.why.jobs == 1 else 'jobs wait'}: {queue.why.reason}"
            yield Alert("down", f"Nothing is taken from {queue.name}", text, queue.oldest_at, queue.name)
        elif queue.paused:
            yield Alert("warning", f"{queue.name} is paused", "Its jobs wait until it is resumed", None, queue.name)
    if health.late_seconds > UNSERVED_SECONDS:
        yield Alert("down", "Schedules are late", "No worker has looked at them since a job was due")
    if look.store.clock.complaint:
        yield Alert("warning", "This host's clock is off", look.store.clock.complaint)


async def _read_groups(look: Look) -> list[FailureGroup]:
    """Return failures of the last day, or of an unknown time, those of the most jobs first. Raises RedisError."""
    found = await look.store.observe.failures.read(most=GROUPS_JOBS)
    since = look.store.clock.moment() - timedelta(days=1)
    return [group for group in found.groups if (read_moment(group.last_at) or since) >= since][:GROUPS_SHOWN]


overview = View("overview", "", read_overview, "overview", ("period",))
