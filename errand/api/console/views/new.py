"""`/console/new` and `/console/new/{type}`: the types of jobs, and the form for a new one."""

from collections.abc import Mapping, Sequence
from typing import Any

from errand.api.console.form import new_key
from errand.api.console.new.draft import JSON, Error, JobDraft, draft_example
from errand.api.console.new.fields import Field
from errand.api.console.new.options import list_options
from errand.api.console.page import Content, Look, View
from errand.api.http.prefix import link
from errand.api.routes.jobs import unknown_type
from errand.contract.job import Job

FOLDED = 3  # fields; fewer are not worth a fold


async def read_types(look: Look) -> Content:
    """Return what the page of all types shows."""
    types = [(type, job.queue.name, _describe(job)) for type, job in sorted(look.store.types.items())]
    return Content("New job", {}, {"types": types})


async def read_new(look: Look) -> Content:
    """Return the form of a type, filled with its example. Raises Problem 404."""
    return show_form(draft_example(find_type(look), look.query.get("as") == JSON))


def find_type(look: Look) -> Job[..., Any]:
    """Return the type that the path names. Raises Problem 404."""
    type, types = look.path["type"], look.store.types
    if type not in types:
        raise unknown_type(type, types)
    return types[type]


def show_form(draft: JobDraft, errors: Sequence[Error] = (), fault: str = "", key: str = "") -> Content:
    """Return the form, with what is wrong at the fields and above them; `key` is the one that it was sent with."""
    job = draft.job
    faults = _sort(draft, errors)
    first, more = _fold(draft, faults)
    shown = {
        "job": job,
        "summary": _describe(job),
        "draft": draft,
        "options": list_options(),
        "first": first,
        "more": more,
        "faults": faults,
        "fault": fault,
        "prefix": link(""),
        "new_key": (lambda: key) if key else new_key,
    }
    return Content(f"New {job.type} job", {}, shown, 422 if errors or fault else 200)


def _describe(job: Job[..., Any]) -> str:
    return (job.__doc__ or "").partition("\n")[0].replace("`", "")


def _fold(draft: JobDraft, faults: Mapping[str, object]) -> tuple[list[Field], list[Field]]:
    """Return the fields to show at once, and those to fold: neither required nor in use."""
    used = {name for name, text in draft.values.items() if text} | set(draft.job.example or ())
    first = [one for one in draft.fields if one.is_required or one.name in used or one.input in faults]
    more = [one for one in draft.fields if one not in first]
    return (first, more) if len(more) >= FOLDED else (list(draft.fields), [])


def _sort(draft: JobDraft, errors: Sequence[Error]) -> dict[str, list[str]]:
    """Return what is wrong by the fields' names in the form; what belongs to none of them is under ''."""
    inputs = {option.name: option.input for option in list_options()}
    names = {} if draft.is_json else {field.name: field.input for field in draft.fields}
    found: dict[str, list[str]] = {}
    for error in errors:
        pointer = error.get("pointer", "#").removeprefix("#")
        first, _, rest = pointer.removeprefix("/").partition("/")
        input = inputs.get(error.get("parameter", "")) or names.get(first.replace("~1", "/").replace("~0", "~"), "")
        place = rest if input and not draft.is_plain(first) else "" if input else pointer
        found.setdefault(input, []).append(f"{place}: {error['detail']}" if place else error["detail"])
    order = ["", *names.values(), *inputs.values()]
    return {input: found[input] for input in order if input in found}


new = View("new", "/new", read_types, "jobs")
new_job = View("new-job", "/new/{type}", read_new, "jobs", ("as",))
