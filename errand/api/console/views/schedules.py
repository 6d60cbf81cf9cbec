"""`/console/schedules`: the schedules, their next runs and how their last ones ended."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from errand.api.console.formatting import read_moment
from errand.api.console.page import Content, Look, View
from errand.api.console.schedule_text import describe_rhythm
from errand.store.observe.health import Health
from errand.store.schedules.occurrences import LATE_SECONDS
from errand.store.schedules.schedules import StoredSchedule

LIMIT = 50  # on one page
FINE = ("active", "paused", "over")  # states that need nobody; the others come first


@dataclass(frozen=True)
class ScheduleLine:
    """A schedule as its line shows it: its rhythm in words, a state and, where something is wrong, the reason."""

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
    """Return the line of a schedule."""
    state, why = _judge(look, found, health)
    return ScheduleLine(found, describe_rhythm(found.schedule), state, why)


def _judge(look: Look, found: StoredSchedule, health: Health) -> tuple[str, str]:
    """Return its state, and why it posts no jobs or why they don't run."""
    type = found.schedule.type
    if found.paused:
        return "paused", ""
    if type not in look.store.types:
        return "stuck", f"there is no job type {type}"
    due = read_moment(found.next_runs[0]) if found.next_runs else None
    if due is None:
        return "over", "it has no more runs"
    if look.store.clock.moment() - due > timedelta(seconds=LATE_SECONDS):
        if not health.workers:
            return "late", "no worker of Errand runs to post its jobs"
        return "late", "no worker has looked at it since it was due"
    held = next((one for one in health.held if one.type == type), None)
    if held:
        return "held", held.reason
    if type in health.types_without:
        return "active", f"no worker runs {type}: its jobs wait"
    return "active", ""


schedules = View("schedules", "/schedules", read_schedules, "schedules", ("page",))
