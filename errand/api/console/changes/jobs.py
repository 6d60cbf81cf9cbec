"""Requeueing, canceling and deleting many jobs: those that were ticked in the list, or all that match its filters."""

import asyncio
from collections.abc import Mapping
from typing import Any

from errand.api.console.changes.change import Action, Change, Done
from errand.api.console.page import VALUE_LIMIT, Content
from errand.api.console.views.bulk import (
    begin_change,
    build_ask,
    build_ask_chosen,
    build_nothing,
    bulk,
    describe,
    read_asked,
    read_back,
    read_number,
    read_verb,
)
from errand.api.console.views.counts import count_many
from errand.api.console.views.jobs import FILTERS, is_id, read_filter
from errand.api.http.problems import Problem
from errand.api.routes.listing import read_place
from errand.store.bulk.bulk import Verb, choose, narrow
from errand.store.index import Place

WORK_SECONDS = 1.0  # of one request: the page says soon what is left, and asks for more
IDS_LIMIT = 200  # jobs; each is read before the page asks. The list shows 50
LOGGED = 20  # ids in the line of the log
BYTES_LIMIT = 32 * 1024  # of 200 ids (8 KB) and filters
FIELDS = ("verb", "cursor", "taken", "passed", "back", *FILTERS)
DONE: Mapping[Verb, str] = {"requeue": "requeued", "cancel": "canceled", "delete": "deleted"}


async def ask(change: Change) -> Content:
    """Return the page that says what would be done to how many jobs. Raises Problem 422 and RedisError."""
    given = _read_fields(change)
    verb, store = read_verb(given["verb"]), change.look.store
    chosen = {name: given[name] for name in FILTERS}
    back = {name: value for name, value in chosen.items() if value}
    if change.form.get("scope") == "all":
        asked = begin_change(change.look, verb, chosen)
        if found := await count_many(change.look, read_filter(change.look, chosen)):
            return build_ask(asked, found, choose(found, verb))
        return build_ask(asked, *await store.changes.bulk.count(verb, asked.wanted))
    ids = _read_ids(change)
    if not ids:
        return build_nothing(f"No job is ticked. Tick the jobs to {verb}, or choose all that match.", back)
    return build_ask_chosen(verb, ids, await asyncio.gather(*(store.jobs.read(id) for id in ids)), back)


async def apply(change: Change) -> Done:
    """Make the change: to all that match, for WORK_SECONDS at most. Raises Problem 422, FullRedisError, RedisError."""
    if change.form.get("scope") == "all":
        return await _go_on(change)
    given, ids = _read_fields(change), _read_ids(change)
    verb = read_verb(given["verb"])
    step = await change.look.store.changes.bulk.apply(verb, ids)
    named = ", ".join(ids[:LOGGED]) + (" …" if len(ids) > LOGGED else "")
    logged = f"{step.taken} of {len(ids)} jobs {DONE[verb]}: {named}"
    return _finish(change, verb, logged, read_back(given), step.taken, step.passed)


async def _go_on(change: Change) -> Done:
    given, store = _read_fields(change), change.look.store
    asked = read_asked(change.look, given)
    if not asked.filters["before"]:
        raise Problem(422, "invalid-parameter", "before: needed, so that jobs that come in meanwhile are left alone")
    narrowed = narrow(asked.wanted, asked.verb)
    place: Place | None = read_place(narrowed, given["cursor"] or None)
    step = await store.changes.bulk.go_on(asked.verb, asked.wanted, place, WORK_SECONDS)
    words = ", ".join(f"{name} {value!r}" for name, value in describe(asked.filters))
    logged = f"{step.taken} jobs {DONE[asked.verb]} and {step.passed} passed over of those with {words}"
    taken, passed = read_number(given["taken"]) + step.taken, read_number(given["passed"]) + step.passed
    if step.place is None:
        return _finish(change, asked.verb, logged, asked.back, taken, passed)
    cursor = narrowed.write_cursor(step.place)
    state: dict[str, Any] = {**asked.fields, "cursor": cursor, "taken": taken, "passed": passed}
    return Done(logged, change.renderer.url_for("bulk", state))


def _finish(change: Change, verb: Verb, logged: str, back: Mapping[str, str], taken: int, passed: int) -> Done:
    word = f"jobs-{DONE[verb]}"
    if not passed:
        return Done(logged, change.renderer.url_for("jobs", back), word, taken)
    return Done(logged, change.renderer.url_for("jobs", {**back, "passed": passed}), f"{word}-some", taken)


def _read_fields(change: Change) -> dict[str, str]:
    return {name: change.form.get(name)[:VALUE_LIMIT] for name in FIELDS}


def _read_ids(change: Change) -> list[str]:
    """Return the ids that were ticked, each once. Raises Problem 422."""
    ids = list(dict.fromkeys(change.form.get_all("id")))
    if len(ids) > IDS_LIMIT or not all(is_id(id) for id in ids):
        raise Problem(422, "invalid-parameter", f"id: give at most {IDS_LIMIT} ids of jobs")
    return ids


ACTIONS = [
    Action("ask-jobs", "/jobs/ask", ask, bulk, BYTES_LIMIT),
    Action("change-jobs", "/jobs/change", apply, bytes_limit=BYTES_LIMIT),
]
