"""How many jobs there are under the filters of `/console/jobs`, at a cost that does not grow with their number."""

import json
from collections import Counter
from dataclasses import dataclass, replace

from errand.api.console.page import Look
from errand.store.index import Count, Filter

SECONDS = 3.0  # so old may they be


@dataclass(frozen=True)
class Counts:
    """How many match, and how many would for each status; None where that is not known."""

    matching: Count
    by_status: Count


async def read_counts(look: Look, wanted: Filter) -> Counts:
    """Return the counts for a filter, some seconds old. Raises RedisError."""
    name = f"counts {json.dumps(wanted.describe(), sort_keys=True)}"
    return await look.keep.get(name, SECONDS, lambda: _read(look, wanted))


async def _read(look: Look, wanted: Filter) -> Counts:
    """Read them from RQ's own counts where these tell them, else from the newest 1,000 jobs that the index has."""
    if wanted == Filter(status=wanted.status, queue=wanted.queue):
        by_status = await _count_queues(look, wanted.queue)
    else:
        by_status = await look.road.index.count(replace(wanted, status=None))
    if wanted.status is None:
        return Counts(by_status, by_status)
    matching = await look.road.index.count(wanted)
    if not matching.is_whole and by_status.is_whole:
        matching = Count({wanted.status: by_status.by_status.get(wanted.status, 0)}, True)
    return Counts(matching, by_status)


async def _count_queues(look: Look, name: str | None) -> Count:
    queues = await look.keep.get("queues", SECONDS, look.road.queues.read_all)
    counts: Counter[str] = Counter()
    for queue in queues:
        if name in (None, queue.name):
            counts.update(queue.jobs)
    return Count(dict(counts), True)
