"""From a request's body to payloads as they are stored: small ones at once, large ones in a thread."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from pydantic import BaseModel

from errand.api.http.body import Incoming, parse, parse_beside
from errand.api.http.body_memory import BodyRoom
from errand.api.http.deadline import RETRY_AFTER, redis_deadline
from errand.api.http.idempotency import Named, claim_with, read_key
from errand.api.http.problems import Problem
from errand.contract.bodies import take_all_apart
from errand.contract.job import Job
from errand.redis import keys
from errand.redis.memory import MemoryGuard
from errand.store.bodies import BodyStore, FullBodiesError, have_large
from errand.store.idempotency import Claim
from errand.store.new_job import NewJob

T = TypeVar("T")
Bodies = dict[str, bytes]

READ_SECONDS = 60.0  # for all of a large body, which keeps others out: 10 MiB at 1.5 Mbit/s


class BodyShape(NamedTuple):
    """What a route takes: a body of a `model`, in which `list_items` finds the payloads of a `job`'s jobs."""

    job: Job[..., Any]
    model: type[BaseModel]
    list_items: Callable[[Any], Sequence[BaseModel]]


class Posted(NamedTuple):
    """What a request posts: payloads as stored, its claim, and who holds what of them lies outside their jobs."""

    payloads: list[dict[str, Any]]
    claim: Claim | None
    holder: str | None = None


class Intake:
    """Takes in what requests post: checks it, and stores what is too large for a job's record ahead of its jobs."""

    def __init__(self, bodies: BodyStore, memory: MemoryGuard) -> None:
        self.bodies = bodies
        self.room = BodyRoom()
        self._memory = memory

    async def read(self, request: Request, shape: BodyShape) -> Posted:
        """Return what a request posts; what of it lies outside is stored by then.

        Raises Problem (401, 403, 408, 413, 415, 422, 503).
        """
        incoming = Incoming(request, shape.job.max_bytes)
        begun = await incoming.read(keys.BODY_BYTES)
        if len(begun) > keys.BODY_BYTES:
            return await self._read_large(request, shape, incoming, begun)
        body = await parse_beside(begun, shape.model)
        payload, payloads, largest = shape.job.payload, [], 0
        for item in shape.list_items(body):
            dumped, size = payload.dump_measured(item)
            payloads.append(dumped)
            largest = max(largest, size)
        claim = claim_with(request, body, await read_key(request)) if incoming.has_key else None
        if largest > keys.BODY_BYTES:  # what it became is large: a template, rendered
            payloads, bodies = await self.room.run(partial(take_all_apart, payloads, payload.whole))
            return Posted(payloads, claim, await self.put(bodies))
        return Posted(payloads, claim)

    async def put(self, bodies: Bodies) -> str | None:
        """Store bodies; return who holds them, None where there are none. Raises Problem (413, 503)."""
        return await self._store(partial(self.bodies.put, bodies, self._memory.limit_bytes)) if bodies else None

    async def put_large(self, jobs: Sequence[NewJob]) -> tuple[Sequence[NewJob], str | None]:
        """Store what of jobs is too large for their records; return them without it, and who holds it.

        Who holds it is None where nothing is too large. Raises Problem (413, 503).
        """
        if not have_large(jobs):
            return jobs, None
        async with redis_deadline():
            await self._memory.check()
        return await self._store(partial(self.bodies.put_large, jobs, self._memory.limit_bytes))

    async def _read_large(self, request: Request, shape: BodyShape, incoming: Incoming, begun: bytes) -> Posted:
        named = await read_key(request) if incoming.has_key else None
        async with redis_deadline():
            await self._memory.check()  # before it is taken at all
        async with self.room.admit(incoming.size_bytes or shape.job.max_bytes):
            try:
                async with asyncio.timeout(READ_SECONDS):
                    body = [await incoming.read_rest(begun)]
            except TimeoutError:
                detail = f"The body did not come within {READ_SECONDS:.0f} seconds"
                raise Problem(408, "too-slow", detail, {"Connection": "close"}) from None
            del begun
            payloads, claim, bodies = await self.room.run(partial(_take_apart, request, shape, named, body))
            return Posted(payloads, claim, await self.put(bodies))

    async def _store(self, call: Callable[[], T]) -> T:
        try:
            async with redis_deadline("Redis did not take the body. Nothing was stored; try again", seconds=None):
                return await self.room.run(call)
        except FullBodiesError as error:
            if error.is_hopeless:
                detail = f"The body is larger than what Redis has room for: {error}. Give it more maxmemory"
                raise Problem(413, "too-large", detail) from None
            detail = f"There is no room for it now: {error}. Nothing was stored; try again when jobs have ended"
            raise Problem(503, "bodies-full", detail, RETRY_AFTER) from None


def _take_apart(
    request: Request, shape: BodyShape, named: Named | None, body: list[bytearray]
) -> tuple[list[dict[str, Any]], Claim | None, Bodies]:
    """Return payloads, claim, and what is to be stored outside, by name. The body is taken out of its list.

    No more than two forms of it are in memory at a time: bytes, model, bytes.
    """
    parsed = parse(body.pop(), shape.model)
    claim = named and claim_with(request, parsed, named)
    bodies: Bodies = {}
    payloads = []
    for item in shape.list_items(parsed):
        payload, own = shape.job.payload.dump_apart(item)
        payloads.append(payload)
        bodies |= own
    return payloads, claim, bodies
