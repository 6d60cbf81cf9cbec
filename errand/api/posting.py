"""From a request's body to payloads as they are stored: small ones at once, large ones in a thread."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from pydantic import BaseModel

from errand.api.http.body import Incoming, parse, parse_beside
from errand.api.http.deadline import RETRY_AFTER, redis_deadline
from errand.api.http.idempotency import Named, claim_with, read_key
from errand.api.http.intake import READ_SECONDS
from errand.api.http.problems import Problem
from errand.api.store import Store, get_store
from errand.contract.bodies import take_all_apart
from errand.contract.job import Job
from errand.redis import keys
from errand.store.bodies import FullBodiesError, have_large
from errand.store.idempotency import Claim
from errand.store.new_job import NewJob

T = TypeVar("T")
ListItems = Callable[[Any], Sequence[BaseModel]]
Bodies = dict[str, bytes]


class Posted(NamedTuple):
    """What a request posts: payloads as stored, its claim, and who holds what of them lies outside their jobs."""

    payloads: list[dict[str, Any]]
    claim: Claim | None
    holder: str | None = None


async def read_posted(request: Request, job: Job[..., Any], model: type[BaseModel], list_items: ListItems) -> Posted:
    """Return what a request posts for a type: the items that `list_items` finds in its body, a `model`.

    What of it lies outside is stored already. Raises Problem (408, 413, 415, 422, 503).
    """
    incoming = Incoming(request, job.max_bytes)
    begun = await incoming.read(keys.BODY_BYTES)
    if len(begun) > keys.BODY_BYTES:
        return await _read_large(request, job, model, list_items, incoming, begun)
    body = await parse_beside(begun, model)
    payloads, largest = [], 0
    for item in list_items(body):
        payload, size = job.payload.dump_measured(item)
        payloads.append(payload)
        largest = max(largest, size)
    named = await read_key(request)
    claim = named and claim_with(request, body, named)
    if largest > keys.BODY_BYTES:  # what it became is large: a template, rendered
        return await _store_apart(request, job, payloads, claim)
    return Posted(payloads, claim)


async def _store_apart(
    request: Request, job: Job[..., Any], payloads: list[dict[str, Any]], claim: Claim | None
) -> Posted:
    store = get_store(request)
    left, bodies = await store.intake.run(partial(take_all_apart, payloads, job.payload.whole))
    return Posted(left, claim, await put_bodies(store, bodies))


async def _read_large(
    request: Request,
    job: Job[..., Any],
    model: type[BaseModel],
    list_items: ListItems,
    incoming: Incoming,
    begun: bytes,
) -> Posted:
    named, store = await read_key(request), get_store(request)
    async with redis_deadline():
        await store.enqueuer.memory.check()  # before it is taken at all
    async with store.intake.admit(incoming.size_bytes or job.max_bytes):
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = [await incoming.read_rest(begun)]
        except TimeoutError:
            detail = f"The body did not come within {READ_SECONDS:.0f} seconds"
            raise Problem(408, "too-slow", detail, {"Connection": "close"}) from None
        del begun
        work = partial(_take_apart, request, job, model, list_items, named, body)
        payloads, claim, bodies = await store.intake.run(work)
        return Posted(payloads, claim, await put_bodies(store, bodies))


def _take_apart(
    request: Request,
    job: Job[..., Any],
    model: type[BaseModel],
    list_items: ListItems,
    named: Named | None,
    body: list[bytearray],
) -> tuple[list[dict[str, Any]], Claim | None, Bodies]:
    """Return payloads, claim, and what is to be stored outside, by name. The body is taken out of its list.

    No more than two forms of it are in memory at a time: bytes, model, bytes.
    """
    parsed = parse(body.pop(), model)
    claim = named and claim_with(request, parsed, named)
    bodies: Bodies = {}
    payloads = []
    for item in list_items(parsed):
        payload, own = job.payload.dump_apart(item)
        payloads.append(payload)
        bodies |= own
    return payloads, claim, bodies


async def put_bodies(store: Store, bodies: Bodies) -> str | None:
    """Store bodies; return who holds them. Raises Problem (413, 503)."""
    if not bodies:
        return None
    with_bodies = partial(store.bodies.put, bodies, store.enqueuer.memory.limit_bytes)
    return await _run(store, with_bodies)


async def put_large(store: Store, jobs: Sequence[NewJob]) -> tuple[Sequence[NewJob], str | None]:
    """Store what of jobs is too large for their records; return them without it, and who holds it, None for nothing.

    Raises Problem (413, 503).
    """
    if not have_large(jobs):
        return jobs, None
    async with redis_deadline():
        await store.enqueuer.memory.check()
    return await _run(store, partial(store.bodies.put_large, jobs, store.enqueuer.memory.limit_bytes))


async def _run(store: Store, call: Callable[[], T]) -> T:
    try:
        async with redis_deadline("Redis did not take the body. Nothing was stored; try again", seconds=None):
            return await store.intake.run(call)
    except FullBodiesError as error:
        if error.is_hopeless:
            detail = f"The body is larger than what Redis has room for: {error}. Give it more maxmemory"
            raise Problem(413, "too-large", detail) from None
        detail = f"There is no room for it now: {error}. Nothing was stored; try again when jobs have ended"
        raise Problem(503, "bodies-full", detail, RETRY_AFTER) from None
