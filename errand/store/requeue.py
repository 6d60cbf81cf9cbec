"""Queueing ended jobs again: one guarded script."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from errand.redis import keys
from errand.redis.lua.loader import read_script
from errand.redis.memory import MemoryGuard

PAGE = 300  # jobs a call: the server does nothing else for as long as one takes, about 7 ms


class RequeueRefusedError(Exception):
    """Raised when a job can't be queued again; the text says why."""


@dataclass(frozen=True)
class EditedPayload:
    """Another payload for a job: its data as RQ keeps it, and the data that it is instead of.

    `bodies` is what of it lies outside, each with its size, and `holder` holds it until the job does.
    """

    data: bytes
    before: bytes
    bodies: Sequence[tuple[str, int]] = ()
    holder: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return it for the script."""
        bodies = {"holder": self.holder or "", "all": list(dict.fromkeys(self.bodies))}
        return {"bodies": bodies, "payload": b64encode(self.before).decode()}


class Requeuer:
    """Queues ended jobs again over one asynchronous client: a fresh retry budget, no error, no end."""

    def __init__(self, redis: Redis, memory: MemoryGuard) -> None:
        self._redis = redis
        self._memory = memory
        self._script = redis.register_script(read_script("store/requeue"))

    async def requeue(self, id: str, edit: EditedPayload | None = None) -> bool:
        """Queue a failed, stopped or canceled job again; return whether there is one of this id.

        Or one that has finished with a part of its work undone (UnfinishedError), which it then tries again; or one
        that has not ended and is in no list, so that it would never run.
        One whose parent has not ended is deferred until then. It has the payload of `edit` then, where there is one.
        Raises RequeueRefusedError, FullRedisError, RedisError.
        """
        await self._memory.check()
        (outcome,) = await self._script(args=build_args([id], keys.ENDED_BADLY, undone=True, edit=edit))
        if outcome:
            raise RequeueRefusedError(outcome.decode(errors="replace"))
        return outcome is not None

    async def requeue_failed(self, queue: str) -> AsyncIterator[int]:
        """Queue again what has failed in a queue, in that order; yield how many jobs each step took.

        What fails in the meantime is left. Raises FullRedisError before the first step, and RedisError.
        """
        await self._memory.check()
        registry = keys.FAILED + queue
        unseen, passed = await self._redis.zcard(registry), 0
        while unseen > 0:
            ids: list[Any] = await self._redis.zrange(registry, passed, passed + min(PAGE, unseen) - 1)
            if not ids:
                return
            outcomes = await self._call(ids, ["failed"], registry)
            unseen -= len(ids)
            passed += sum(bool(outcome) for outcome in outcomes)  # refused ones stay where they are
            yield outcomes.count(b"")

    async def requeue_all(
        self, ids: Sequence[str], token: str, statuses: Sequence[str] = ("failed",)
    ) -> list[bytes | None]:
        """Queue jobs that have one of `statuses` again in one step, under a `token` that they then carry.

        Return for each b'' (it is queued again), None (there is none) or why it can't be. A few hundred ids a call.
        Raises FullRedisError and RedisError.
        """
        await self._memory.check()
        return await self._call(ids, statuses, token=token)

    async def _call(
        self, ids: Sequence[str | bytes], statuses: Sequence[str], registry: str | None = None, token: str | None = None
    ) -> list[bytes | None]:
        outcomes: list[bytes | None] = await self._script(args=build_args(ids, statuses, registry, token))
        return outcomes


def build_args(
    ids: Sequence[str | bytes],
    statuses: Sequence[str],
    registry: str | None = None,
    token: str | None = None,
    undone: bool = False,
    edit: EditedPayload | None = None,
) -> list[str | bytes]:
    """Return the arguments of the script for jobs that have one of `statuses`, and are in `registry` where it is given.

    Those that have finished with a part of their work `undone`, or are in no list, are queued too, where that is said.
    It answers for each job b'' (queued again), None (not there) or why it can't be.
    """
    request: dict[str, Any] = {
        "statuses": dict.fromkeys(statuses, True),
        "token": token or str(uuid4()),
        "undone": undone,
    }
    if registry:
        request["registry"] = registry
    if edit:
        request["edit"] = edit.describe()
    return [json.dumps(request), *ids, *((edit.data, edit.before) if edit else ())]
