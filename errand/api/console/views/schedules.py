"""`/console/schedules`: jobs at set times, when they come next and what became of the last."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from errand.api.console.formatting import read_moment
from errand.api.console.page import Content, Look, View
from errand.api.console.schedule_text import describe_rhythm
from errand.store.observe.health import Health
from errand.store.schedules.occurrences import LATE_SECONDS
from errand.store.schedules.schedules import StoredSchedule

LIMIT = 50
FINE = ("active", "paused", "over")


@dataclass(frozen=True)
class ScheduleLine:
    """A schedule as its line shows it: its rhythm in words, a state and, where something is wrong, why."""

    found: StoredSchedule
    rhythm: str
    state: str
    why: str


async def read_schedules(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    found, health = await asyncio.gather(look.store.schedules.list(), look.store.observe.health.read())
    lines = sorted((build_line(look, one, health) for one in found), key=lambda line: line.state in FINE)
    page = int(asked) if (asked := look.query.get("page", "")).isdecimal() and len(asked) < 6 else 1
    shown = {"lines": lines[(page - 1) * LIMIT : page * LIMIT], "page": page, "is_last": page * LIMIT >= len(lines)}
    return Content("Schedules", {"list": shown})


def build_line(look: Look, found: StoredSchedule, health: Health) -> ScheduleLine:
    """Return a schedule with what there is to say of it."""
    state, why = _judge(look, found, health)
    return ScheduleLine(found, describe_rhythm(found.schedule), state, why)


def _judge(look: Look, found: StoredSchedule, health: Health) -> tuple[str, str]:
    """Return its state in a word, and why it gives no jobs, or why they don't run."""
    type = found.schedule.type
    if found.paused:
        return "paused", ""
    if type not in look.store.types:
        return "stuck", f"there is no job type {type}"
    due = read_moment(found.next_runs[0]) if found.next_runs else None
    if due is None:
        return "over", "it has no time to come"
    if look.store.clock.moment() - due > timedelta(seconds=LATE_SECONDS):
        if not health.workers:
            return "late", "no worker of Errand runs, and they give the jobs"
        return "late", "no worker has come to it since it was due"
    held = next((one for one in health.held if one.type == type), None)
    if held:
        return "held", held.reason
    if type in health.types_without:
        return "active", f"no worker runs {type}: its jobs wait"
    return "active", ""


schedules = View("schedules", "/schedules", read_schedules, "schedules", ("page",))
