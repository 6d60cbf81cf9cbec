"""`/console/jobs/many`: a change of many jobs, before it is made, and how far it has come."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

from errand.api.console.formatting import describe_problem
from errand.api.console.page import Content, Look, View
from errand.api.console.views.counts import count_many
from errand.api.console.views.jobs import FILTERS, SINCE, read_filter
from errand.api.http.problems import Problem
from errand.api.routes.listing import read_place
from errand.store.bulk.bulk import FITTING, Verb, choose, narrow
from errand.store.index import Count, Filter, Place
from errand.store.status import JobStatus

VERBS: tuple[Verb, ...] = get_args(Verb)
SHOWN = 10  # of the jobs that were ticked
LEFT_SECONDS = 60.0  # what is left is only counted again for the page's stream, and does not change meanwhile


@dataclass(frozen=True)
class BulkChange:
    """A change of all jobs that match a filter with fixed times; `back` is the query of the list it was asked from."""

    verb: Verb
    filters: Mapping[str, str]
    wanted: Filter
    back: Mapping[str, str]

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the form that goes on with the change."""
        given = {name: value for name, value in self.filters.items() if value}
        return {"verb": self.verb, "scope": "all", "back": urlencode(self.back), **given}


async def read_bulk(look: Look) -> Content:
    """Return how far it has come, by the page's address. Raises Problem 422 and RedisError."""
    if not look.query:
        return build_nothing("Tick jobs in the list, or choose all that match its filters.", {})
    asked = read_asked(look, look.query)
    narrowed = narrow(asked.wanted, asked.verb)
    cursor = look.query.get("cursor")
    place = read_place(narrowed, cursor)
    name = f"many {json.dumps(asked.fields)} {cursor}"
    left = await look.cache.get(name, LEFT_SECONDS, lambda: _count_left(look, asked, place))
    done = {name: read_number(look.query.get(name, "")) for name in ("taken", "passed")}
    fields = {**asked.fields, "cursor": cursor or "", **done}
    return _build_page(asked.verb, "on", asked.back, fields=fields, left=left, progress=done)


async def _count_left(look: Look, asked: BulkChange, place: Place | None) -> Count:
    """Return how many jobs are left; where they are many, with those that came in since the change was asked for."""
    listed = _read_filter(look, {name: asked.back.get(name, "") for name in FILTERS})
    found = await count_many(look, listed)
    return (
        choose(found, asked.verb)
        if found
        else await look.store.changes.bulk.count_left(asked.verb, asked.wanted, place)
    )


def build_ask(asked: BulkChange, found: Count, fitting: Count) -> Content:
    """Return the page that asks whether to change all that match."""
    left = found.total - fitting.total if found.is_whole and fitting.is_whole else None
    return _build_page(asked.verb, "all", asked.back, fields=asked.fields, count=fitting, passed=left)


def build_ask_chosen(
    verb: Verb, ids: Sequence[str], jobs: Sequence[JobStatus | None], back: Mapping[str, str]
) -> Content:
    """Return the page that asks whether to change the jobs that were ticked; None stands for one that is gone."""
    there = [job for job in jobs if job]
    fitting = [job for job in there if job.status in FITTING[verb]]
    return _build_page(
        verb,
        "chosen",
        back,
        fields={"verb": verb, "scope": "chosen", "back": urlencode(back)},
        ids=[job.id for job in fitting],
        jobs=fitting[:SHOWN],
        count=Count({"": len(fitting)}, True),
        passed=len(ids) - len(fitting),
    )


def _build_page(verb: Verb, ask: str, back: Mapping[str, str], **shown: Any) -> Content:
    """Return a page that asks about all jobs that match, the chosen ones, or whether to go «on»."""
    page = {"verb": verb, "ask": ask, "ids": [], "words": list(describe(back)), "back": back, **shown}
    return Content(f"{verb.capitalize()} jobs", {}, page)


def build_nothing(text: str, back: Mapping[str, str]) -> Content:
    """Return the page that says that there is nothing to do."""
    return Content("Jobs", {}, {"ask": "", "text": text, "back": back})


def read_asked(look: Look, given: Mapping[str, str]) -> BulkChange:
    """Return the change that the fields of a form or an address ask for. Raises Problem 422."""
    filters = {name: given.get(name, "") for name in FILTERS}
    return BulkChange(read_verb(given.get("verb", "")), filters, _read_filter(look, filters), read_back(given))


def begin_change(look: Look, verb: Verb, chosen: Mapping[str, str]) -> BulkChange:
    """Return the change of what the list's filters match now, without jobs that come in later. Raises Problem 422."""
    wanted, now = _read_filter(look, chosen), look.store.clock.moment()
    before = min(wanted.created_before or now, now)
    after = wanted.created_after.isoformat() if wanted.created_after else ""
    filters = {**chosen, "since": "", "after": after, "before": before.isoformat()}
    return BulkChange(
        verb, filters, _read_filter(look, filters), {name: value for name, value in chosen.items() if value}
    )


def _read_filter(look: Look, filters: Mapping[str, str]) -> Filter:
    try:
        return read_filter(look, filters)
    except Problem as problem:
        raise Problem(422, "invalid-parameter", describe_problem(problem)) from None


def read_verb(word: str) -> Verb:
    """Return what to do. Raises Problem 422."""
    for verb in VERBS:
        if verb == word:
            return verb
    raise Problem(422, "invalid-parameter", f"verb: one of {', '.join(VERBS)}")


def read_back(given: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of the list to go back to."""
    pairs = parse_qsl(given.get("back", ""), max_num_fields=20)
    return {name: value for name, value in pairs if name in FILTERS}


def read_number(text: str) -> int:
    """Return a number of jobs, 0 for text that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def describe(chosen: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return the filter in words, as pairs of a name and a value."""
    for name in ("status", "type", "queue", "tag", "batch"):
        if chosen.get(name):
            yield name, chosen[name]
    if chosen.get("since") in SINCE:
        yield "created", f"in the last {SINCE[chosen['since']][0]}"
    if chosen.get("after"):
        yield "created", f"from {chosen['after']}"
    if chosen.get("before"):
        yield "created", f"before {chosen['before']}"


bulk = View("bulk", "/jobs/many", read_bulk, "jobs", ("verb", *FILTERS, "cursor", "taken", "passed", "back"))
