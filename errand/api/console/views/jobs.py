"""`/console/jobs`: the jobs that match filters, newest first."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

from errand.api.console.formatting import describe_problem
from errand.api.console.page import Content, Look, View
from errand.api.console.views.counts import read_counts
from errand.api.http.problems import Problem
from errand.api.routes.listing import Status, read_place, read_time
from errand.contract.from_python.options import WORD, WORDS
from errand.store.index import Filter

LIMIT = 50  # on one page: as many as somebody reads through
SINCE = {"15m": ("15 minutes", 900), "1h": ("hour", 3600), "24h": ("24 hours", 86_400), "7d": ("7 days", 604_800)}
FILTERS = ("status", "type", "queue", "tag", "batch", "since", "after", "before")
STATUSES = get_args(Status)
CHIPS = (  # statuses to choose from, in the order of a job's life
    "queued",
    "started",
    "scheduled",
    "deferred",
    "rate_limited",
    "finished",
    "failed",
    "stopped",
    "canceled",
)


async def read_jobs(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    chosen = {name: look.query.get(name, "") for name in FILTERS}
    try:
        wanted = read_filter(look, chosen)
        place = read_place(wanted, look.query.get("cursor"))
    except Problem as problem:
        return _build(look, chosen, fault=describe_problem(problem))
    page, counts = await asyncio.gather(look.store.index.read(wanted, LIMIT, place), read_counts(look, wanted))
    return _build(look, chosen, jobs=page.jobs, next=page.next and wanted.write_cursor(page.next), counts=counts)


def _build(look: Look, chosen: Mapping[str, str], fault: str = "", **found: Any) -> Content:
    listed = {"jobs": [], "next": None, **found, "chosen": chosen, "cursor": look.query.get("cursor"), "fault": fault}
    counts = found.get("counts")
    statuses = [*CHIPS, *({chosen["status"]} & set(STATUSES) - set(CHIPS))]
    queues = sorted({job.queue.name for job in look.store.types.values()})
    choices = {"types": sorted(look.store.types), "queues": queues, "spans": SINCE}
    sections = {
        "count": {"counts": counts},
        "matching": {"counts": counts},
        "statuses": {"counts": counts, "chosen": chosen, "statuses": statuses},
        "list": listed,
    }
    return Content("Jobs", sections, {"chosen": chosen, **choices}, 422 if fault else 200)


def read_filter(look: Look, chosen: Mapping[str, str]) -> Filter:
    """Return the filter for what was chosen. Raises Problem 422."""
    after = read_time(chosen["after"] or None, "after")
    if chosen["since"]:
        seconds = SINCE.get(chosen["since"], ("", 0))[1]
        after = look.store.clock.moment().replace(second=0, microsecond=0) - timedelta(seconds=seconds)
    return Filter(
        type=chosen["type"] or None,
        queue=chosen["queue"] or None,
        status=_check(chosen["status"], chosen["status"] in STATUSES, f"status: one of {', '.join(STATUSES)}"),
        tag=_check(chosen["tag"], bool(re.fullmatch(WORD, chosen["tag"])), f"tag: {WORDS}"),
        batch=_check(chosen["batch"], is_id(chosen["batch"]), "batch: give a batch's id"),
        created_after=after,
        created_before=read_time(chosen["before"] or None, "before"),
    )


def _check(value: str, is_right: bool, fault: str) -> str | None:
    if value and not is_right:
        raise Problem(422, "invalid-parameter", fault)
    return value or None


def is_id(text: str) -> bool:
    """Return whether a text is the id of a job or a batch, as they are written."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


jobs = View("jobs", "/jobs", read_jobs, "jobs", (*FILTERS, "cursor"))
