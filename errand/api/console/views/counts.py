"""How many jobs there are under the filters of `/console/jobs`, at a cost that does not grow with their number."""

import json
from collections import Counter
from dataclasses import dataclass, replace

from errand.api.console.page import Look
from errand.store.index import BUDGET, Count, Filter

SECONDS = 3.0  # so old counts may be: up to 1,000 jobs are read for them


@dataclass(frozen=True)
class FilterCounts:
    """How many jobs match, and how many would with each status."""

    matching: Count
    by_status: Count


async def read_counts(look: Look, wanted: Filter) -> FilterCounts:
    """Return the counts for a filter, some seconds old. Raises RedisError."""
    name = f"counts {json.dumps(wanted.describe(), sort_keys=True)}"
    return await look.cache.get(name, SECONDS, lambda: _read(look, wanted))


async def count_many(look: Look, wanted: Filter) -> Count | None:
    """Return how many jobs match a filter, None unless RQ's own counts say so and it is many. Raises RedisError."""
    if not _has_own_counts(wanted) or wanted.status == "failed":  # RQ counts the stopped among them
        return None
    counts = (await _count_queues(look, wanted.queue)).by_status
    found = Count(counts if wanted.status is None else {wanted.status: counts.get(wanted.status, 0)}, True)
    return found if found.total > BUDGET else None


def _has_own_counts(wanted: Filter) -> bool:
    """Return whether RQ's own counts say how many jobs match."""
    return wanted == Filter(status=wanted.status, queue=wanted.queue)


async def _read(look: Look, wanted: Filter) -> FilterCounts:
    """Read them from RQ's own counts where these have them, else from the newest 1,000 jobs of the index."""
    if _has_own_counts(wanted):
        by_status = await _count_queues(look, wanted.queue)
    else:
        by_status = await look.store.index.count(replace(wanted, status=None))
    if wanted.status is None:
        return FilterCounts(by_status, by_status)
    matching = await look.store.index.count(wanted)
    if not matching.is_whole and by_status.is_whole:
        matching = Count({wanted.status: by_status.by_status.get(wanted.status, 0)}, True)
    return FilterCounts(matching, by_status)


async def _count_queues(look: Look, name: str | None) -> Count:
    queues = await look.cache.get("queues", SECONDS, look.store.queues.read_all)
    counts: Counter[str] = Counter()
    for queue in queues:
        if name in (None, queue.name):
            counts.update(queue.jobs)
    return Count(dict(counts), True)
