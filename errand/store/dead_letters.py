"""Dead letters: jobs that failed for good, queued again or deleted by filter."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from errand.redis.clock import Clock
from errand.store.delete import Deleter
from errand.store.index import Filter, JobIndex, Place, close_at
from errand.store.observe.failures import FailureReader
from errand.store.requeue import PAGE, Requeuer

Action = Literal["requeue", "delete", "count"]
SHOWN = 20  # ids of jobs of a group that are left because they are tried again: a sample
TRIED_AGAIN = "it is tried again by itself; cancel it first"


@dataclass(frozen=True)
class DeadLetterStep:
    """What became of some jobs: those the action took, and those that it left, each with the reason."""

    taken: list[str]
    left: list[tuple[str, str]]


class DeadLetters:
    """Does one thing to all failed jobs that a filter finds, some at a time, the oldest failure first."""

    def __init__(
        self, index: JobIndex, requeuer: Requeuer, deleter: Deleter, clock: Clock, failures: FailureReader
    ) -> None:
        self._clock = clock
        self._failures = failures
        self._index = index
        self._requeuer = requeuer
        self._deleter = deleter

    async def apply(self, action: Action, wanted: Filter) -> AsyncIterator[DeadLetterStep]:
        """Requeue, delete or only count them; yield each step.

        What fails in the meantime is left, as what was requeued and has failed again. Of a group, jobs that are tried
        again are left too, some of which the last step names. Raises FullRedisError and RedisError; what the steps
        before took stays as it is.
        """
        retrying = await self._list_retrying(wanted)
        wanted, token = close_at(wanted, self._clock.moment()), str(uuid4())
        place: Place | None = None
        while True:
            ids, place = await self._index.select(wanted, PAGE, place, token)
            if ids:
                yield (
                    DeadLetterStep(ids, [])
                    if action == "count"
                    else _sort_out(ids, await self._call(action, ids, token))
                )
            if place is None:
                break
        if retrying:
            yield DeadLetterStep([], [(id, TRIED_AGAIN) for id in retrying])

    async def _list_retrying(self, wanted: Filter) -> list[str]:
        if wanted.fingerprint is None:
            return []
        return await self._failures.list_retrying(wanted.fingerprint, wanted.queue, wanted.type, SHOWN)

    async def _call(self, action: Action, ids: Sequence[str], token: str) -> list[bytes | None]:
        if action == "requeue":
            return await self._requeuer.requeue_all(ids, token)
        return await self._deleter.delete_all(ids, ["failed"])


def _sort_out(ids: Sequence[str], outcomes: Sequence[bytes | None]) -> DeadLetterStep:
    step = DeadLetterStep([], [])
    for id, outcome in zip(ids, outcomes, strict=True):
        if outcome:
            step.left.append((id, outcome.decode(errors="replace")))
        elif outcome is not None:
            step.taken.append(id)
    return step
