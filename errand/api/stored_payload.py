"""A stored payload, perhaps edited, for another job, or for its own job that is run again."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from errand.api.http.deadline import redis_deadline
from errand.api.http.problems import Problem, refuse_input
from errand.api.request_intake import Posted
from errand.api.store import Store
from errand.contract.bodies import MARK, BodyGoneError, Fetch, Path, build_fetch, list_bodies, put_together
from errand.contract.errors import NotFiniteError
from errand.contract.job import Job
from errand.redis import keys
from errand.store.observe.payloads import show_payload, unpack_payload


async def take_again(store: Store, job: Job[..., Any], packed: bytes, text: str | None = None) -> Posted:
    """Return a payload for a job of this type: the stored one, `packed`, or `text`, the JSON edited from it.

    Where `text` has {MARK: …}, as the payload is shown, it stands for the value that lies outside of the job. What is
    too large is stored outside again, held for the new job. Raises Problem: 422 for a payload that does not fit the
    type, 409 for one that can't be read or has lost a part, 413 and 503 where there is no room.
    """
    text = show_text(job, packed) if text is None else text
    known = _list_known(packed)
    size_bytes = len(text) + (sum(known.values()) if MARK in text else 0)
    work = partial(_take, job, text, known, build_fetch(store.intake.bodies.redis))
    if size_bytes <= keys.BODY_BYTES:
        payload, bodies = work()
    else:
        async with redis_deadline(), store.intake.room.admit(size_bytes):
            await store.enqueuer.memory.check()
            payload, bodies = await store.intake.room.run(work)
    return Posted([payload], None, await store.intake.put(bodies))


def show_text(job: Job[..., Any], packed: bytes) -> str:
    """Return a job's payload as JSON to be read and edited. Raises Problem 409 for one that can't be shown."""
    shown = show_payload(packed, job.payload.whole)
    if shown is None:
        raise _refuse_unreadable()
    return to_json(shown, indent=2).decode()


def _list_known(packed: bytes) -> dict[str, int]:
    """Return the names of the bodies that a payload has outside of its job, with their bytes. Raises Problem 409."""
    try:
        return dict(list_bodies(unpack_payload(packed)))
    except (ValueError, TypeError, RecursionError, BodyGoneError):
        raise _refuse_unreadable() from None


def _refuse_unreadable() -> Problem:
    return Problem(409, "unreadable", "Its payload can't be read: a pickle, too large, or damaged")


def _take(
    job: Job[..., Any], text: str, known: Mapping[str, int], fetch: Fetch
) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        model = job.payload.parse(_fill(text, job.payload.whole, known, fetch) if MARK in text else text)
    except ValidationError as error:
        raise refuse_input(error.errors(include_url=False, include_input=False), in_body=True) from None
    except BodyGoneError as error:
        raise Problem(409, "body-gone", f"Its payload is not whole any more: {error}") from None
    try:
        return job.payload.dump_apart(model)
    except NotFiniteError as error:
        raise refuse_input([{"loc": (), "msg": str(error)}], in_body=True) from None


def _fill(text: str, whole: str | None, known: Mapping[str, int], fetch: Fetch) -> str | bytes:
    """Return the JSON with the values put in that lie outside of the job."""
    try:
        value = json.loads(text)
    except ValueError:
        return text  # the model says what is wrong with it
    cut: list[tuple[Path, str, int]] = []
    value = _cut(value, (whole,) if whole else (), known, cut)
    return put_together({MARK: {"payload": {whole: value} if whole else value, "cut": cut}}, whole, fetch)


def _cut(value: Any, path: Path, known: Mapping[str, int], cut: list[tuple[Path, str, int]]) -> Any:
    stands_for = value[MARK] if isinstance(value, dict) and value.keys() == {MARK} else None
    name = stands_for.get("sha256") if isinstance(stands_for, dict) else None
    if isinstance(name, str) and name in known:
        cut.append((path, name, known[name]))
        return None
    match value:
        case list():
            return [_cut(inner, (*path, place), known, cut) for place, inner in enumerate(value)]
        case dict():
            return {name: _cut(inner, (*path, name), known, cut) for name, inner in value.items()}
    return value
