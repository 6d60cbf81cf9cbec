"""Calls of scripts that leave together: while one round trip is under way, those that come wait and share the next."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from errand.redis import keys
from errand.redis.failover import leads_elsewhere, renew_async
from errand.redis.lua.loader import read_script

KEY_LIMIT = 400  # of one round trip, some 100 jobs: the server does nothing else while it reads them


@dataclass(frozen=True)
class Call:
    """One call of the script, and where its answer goes."""

    command: tuple[Any, ...]
    answer: asyncio.Future[Any]
    weight: int


class GroupCommit:
    """Calls one script over one asynchronous client, many calls to a round trip, each with an answer of its own."""

    def __init__(self, redis: Redis, script: str) -> None:
        self._redis = redis
        self._script = redis.register_script(read_script(script))
        self._waiting: deque[Call] = deque()
        self._task: asyncio.Task[None] | None = None

    async def call(self, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Return the script's answer. Raises RedisError and TimeoutError: the script may have run.

        It is loaded and called again where the server lost it, and called again where a reply was lost. A
        caller that is canceled leaves the others' calls as they are.
        """
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(Call(("EVALSHA", self._script.sha, len(keys), *keys, *args), answer, len(keys)))
        if self._task is None:
            self._task = asyncio.create_task(self._send_waiting())
        return await answer

    async def _send_waiting(self) -> None:
        try:
            while calls := self._take_group():
                try:
                    async with asyncio.timeout(keys.GROUP_SECONDS):
                        await self._send(calls)
                except Exception as error:  # whatever it is, those who wait have to know
                    for call in calls:
                        _settle(call, error)
        finally:
            self._task = None

    def _take_group(self) -> list[Call]:
        """Return the calls that leave next; those whose callers have left stay behind."""
        calls: list[Call] = []
        weight = 0
        while self._waiting and (not calls or weight + self._waiting[0].weight <= KEY_LIMIT):
            call = self._waiting.popleft()
            if not call.answer.done():
                calls.append(call)
                weight += call.weight
        return calls

    async def _send(self, calls: Sequence[Call]) -> None:
        answers = await self._exchange(calls)
        if leads_elsewhere(answers):
            await renew_async(self._redis)
            answers = await self._exchange(calls)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await self._redis.script_load(self._script.script)
            answers = await self._exchange(calls)  # those that had run change nothing and answer the same
        for call, answer in zip(calls, answers, strict=True):
            _settle(call, answer)

    async def _exchange(self, calls: Sequence[Call]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
        return await pipeline.execute(raise_on_error=False)


def _settle(call: Call, answer: Any) -> None:
    if call.answer.done():
        return
    if isinstance(answer, Exception):
        call.answer.set_exception(answer)
    else:
        call.answer.set_result(answer)
