"""`/console/schedules/{name}`: one schedule, its next and its last runs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from errand.api import schedule_requests
from errand.api.console.page import Content, Look, View
from errand.api.console.tree import build_tree
from errand.api.console.views.schedules import build_line
from errand.store.schedules.schedules import Run


async def read_schedule(look: Look) -> Content:
    """Return what the page shows. Raises Problem 404 and 409, and RedisError."""
    store = look.store
    found, health = await asyncio.gather(schedule_requests.find(store, look.path["name"]), store.observe.health.read())
    line = build_line(look, found, health)
    sections: dict[str, dict[str, Any]] = {
        "head": {"line": line},
        "next": {"line": line},
        "runs": {"found": found, "counts": _count(found.runs)},
        "payload": {"payload": build_tree(schedule_requests.show_payload(store, found))},
    }
    return Content(f"Schedule {found.schedule.name}", sections, {"found": found})


def _count(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Return how many runs have each status, the most frequent first."""
    return Counter(run.status or "unknown" for run in runs).most_common()


schedule = View("schedule", "/schedules/{name}", read_schedule, "schedules")
