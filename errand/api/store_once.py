"""Storing the jobs that a request posts, and what is answered where the store refuses them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from errand.api.http.deadline import RETRY_AFTER, redis_deadline
from errand.api.http.idempotency import REPLAYED, SEND_AGAIN, replay
from errand.api.http.options import UNIQUE
from errand.api.http.problems import Problem, refuse_input
from errand.api.request_intake import Posted
from errand.api.store import Store
from errand.contract.job import Job
from errand.redis import keys
from errand.store.answer import UniqueJobError
from errand.store.bodies import BodiesGoneError
from errand.store.idempotency import StoredBeforeError
from errand.store.new_job import NewJob, TooManyDependentsError, TooManyLinksError, UnknownParentError

REFUSALS = (UnknownParentError, TooManyDependentsError, TooManyLinksError, BodiesGoneError)


class StoredJobs(NamedTuple):
    """The jobs that a request is answered with: their statuses when they were stored, and further headers."""

    jobs: Sequence[NewJob]
    statuses: list[str]
    headers: dict[str, str]


async def store_job(
    store: Store, job: Job[..., Any], posted: Posted, build_arguments: Callable[[datetime], Mapping[str, Any]]
) -> tuple[NewJob, str, dict[str, str]]:
    """Store the one job that was posted; return it, its status and the answer's further headers.

    `build_arguments` returns the arguments of `NewJob` that are asked for, for the time at which the job is stored.
    Raises Problem (422, 503).
    """
    id = str(uuid4())

    def build(now: datetime) -> list[NewJob]:
        return [NewJob(job, posted.payloads[0], id=id, **build_arguments(now))]

    (new,), (status,), headers = await store_posted(store, posted, id, build)
    return new, status, headers


async def store_posted(
    store: Store,
    posted: Posted,
    id: str,
    build: Callable[[datetime], Sequence[NewJob]],
    batch_type: str | None = None,
) -> StoredJobs:
    """Store the jobs that were posted, or find those that are there in their place.

    `id` is the job's, or the batch's where there is a `batch_type`; `build` returns the jobs for the time at which they
    are stored. Others are there in their place under a unique key, or where an earlier request had the same
    `Idempotency-Key`. Raises Problem (422, 503).
    """
    kind, batch = ("batch", (id, batch_type)) if batch_type else ("job", None)
    away = f"Redis did not answer; the {kind} may have been stored, under this id"
    try:
        async with redis_deadline(away if posted.claim is None else away + SEND_AGAIN, id=id):
            await store.enqueuer.memory.check()  # which sets the clock
            jobs = build(store.clock.moment())
            statuses = await store.enqueuer.store(jobs, batch, posted.claim, posted.holder)
            return StoredJobs(jobs, statuses, {UNIQUE: "stored"} if jobs[0].unique else {})
    except REFUSALS as error:
        raise describe_refusal(error) from None
    except UniqueJobError as error:
        return StoredJobs([replace(jobs[0], id=error.id)], [error.status], {UNIQUE: error.taken})
    except StoredBeforeError as error:
        stored, restored = error.stored, replay(posted.claim, error.stored, jobs)
        headers = REPLAYED | ({UNIQUE: stored.unique or "stored"} if jobs[0].unique else {})
        return StoredJobs(restored, stored.list_statuses(len(jobs)), headers)


def describe_refusal(error: Exception) -> Problem:
    """Return the problem (422, 503) for one of REFUSALS."""
    match error:
        case UnknownParentError():
            fault = f"there is no job or batch {error}; it may have expired"
        case TooManyDependentsError():
            fault = f"{error.kind} {error} has {keys.DEPENDENTS_LIMIT:,} dependents, the most there may be"
        case TooManyLinksError():
            fault = (
                f"a batch counts as its jobs, so they would wait for {int(str(error)):,}, all together; "
                f"{keys.LINKS_LIMIT:,} at most. Let one job wait for the batch, and these for that job"
            )
        case _:
            detail = "A part of the body was gone from Redis before the job was stored. Nothing was stored; try again"
            return Problem(503, "body-gone", detail, RETRY_AFTER)
    return refuse_input([{"loc": ("after",), "msg": fault}], in_body=False)
