"""Doing one thing to many jobs: those that are named, or all that a filter finds, some at a time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from errand.redis import keys
from errand.store.cancel import Canceller
from errand.store.delete import Deleter
from errand.store.index import Count, Filter, JobIndex, Place
from errand.store.requeue import Requeuer

Verb = Literal["requeue", "cancel", "delete"]
SLICE = 50  # jobs a call: the server does nothing else meanwhile; to requeue 100 took it some 20 ms
COUNT_CALLS = 5  # 1,000 jobs each

# What has which status when it can be done; the scripts look at the jobs themselves.
FITTING: Mapping[Verb, tuple[str, ...]] = {
    "requeue": keys.ENDED_BADLY,
    "cancel": (*(status for status in keys.UNSTARTED if status != "created"), "started"),  # RQ keeps no list of those
    "delete": tuple(status for status in (*keys.UNSTARTED, *keys.ENDED)),
}


@dataclass(frozen=True)
class BulkStep:
    """How many jobs it was done to, how many were passed over, and where to go on, None where there are no more."""

    taken: int
    passed: int
    place: Place | None = None


class BulkJobs:
    """Requeues, cancels and deletes jobs by the scripts that do it to one."""

    def __init__(self, index: JobIndex, requeuer: Requeuer, canceller: Canceller, deleter: Deleter) -> None:
        self._index = index
        self._requeuer = requeuer
        self._canceller = canceller
        self._deleter = deleter

    async def count(self, verb: Verb, wanted: Filter) -> tuple[Count, Count]:
        """Return how many jobs a filter finds, and to how many of them it can be done. Raises RedisError."""
        found = await self._index.count(wanted, COUNT_CALLS)
        if found.is_whole or wanted.status:
            return found, choose(found, verb)
        return found, await self.count_left(verb, wanted, None)

    async def count_left(self, verb: Verb, wanted: Filter, place: Place | None) -> Count:
        """Return to how many jobs it can be done after `place`, where `go_on` has stopped. Raises RedisError."""
        return await self._index.count(narrow(wanted, verb), COUNT_CALLS, place, _goes_forward(verb))

    async def apply(self, verb: Verb, ids: Sequence[str]) -> BulkStep:
        """Do it to the jobs of these ids, some at a time.

        Passed over are those that are gone and those to which it can't be done now. Raises FullRedisError, RedisError
        and TimeoutError; what was done until then stays.
        """
        taken, token = 0, str(uuid4())
        for begin in range(0, len(ids), SLICE):
            taken += (await self._call(verb, ids[begin : begin + SLICE], token)).count(b"")
        return BulkStep(taken, len(ids) - taken)

    async def go_on(self, verb: Verb, wanted: Filter, place: Place | None, seconds: float) -> BulkStep:
        """Do it to what a filter finds after `place`, for so long; return what was done, and where to go on.

        Parents are requeued before their dependents, and canceled and deleted after them: each job is then done for
        itself. The filter bounds the time of creation, or what comes in meanwhile is found, too. Raises FullRedisError,
        RedisError and TimeoutError; what was done until then stays.
        """
        narrowed, ends_at = narrow(wanted, verb), time.monotonic() + seconds
        taken = passed = 0
        while True:
            ids, place = await self._index.select(narrowed, SLICE, place, forward=_goes_forward(verb))
            step = await self.apply(verb, ids)
            taken, passed = taken + step.taken, passed + step.passed
            if place is None or time.monotonic() >= ends_at:
                return BulkStep(taken, passed, place)

    async def _call(self, verb: Verb, ids: Sequence[str], token: str) -> list[bytes | None]:
        if verb == "requeue":
            return await self._requeuer.requeue_all(ids, token, keys.ENDED_BADLY)
        if verb == "cancel":
            return await self._canceller.cancel_all(ids, token)
        return await self._deleter.delete_all(ids)


def choose(found: Count, verb: Verb) -> Count:
    """Return the count of those of the jobs found to which it can be done."""
    return Count(
        {status: number for status, number in found.by_status.items() if status in FITTING[verb]}, found.is_whole
    )


def narrow(wanted: Filter, verb: Verb) -> Filter:
    """Return the filter for those of its jobs to which it can be done."""
    if wanted.status is None:
        return replace(wanted, statuses=FITTING[verb])
    return wanted if wanted.status in FITTING[verb] else replace(wanted, status=None, statuses=())


def _goes_forward(verb: Verb) -> bool:
    return verb == "requeue"
