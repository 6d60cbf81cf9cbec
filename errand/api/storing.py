"""Storing a request's jobs once, whatever happens to the answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from errand.api.http.deadline import RETRY_AFTER, redis_deadline
from errand.api.http.idempotency import HEADER, REPLAYED, refuse_reuse
from errand.api.http.problems import Problem, refuse_input
from errand.api.http.unique import HEADER as UNIQUE
from errand.api.posting import Posted
from errand.api.store import Store
from errand.contract.job import Job
from errand.redis import keys
from errand.store.answer import UniqueJobError
from errand.store.bodies import BodiesGoneError
from errand.store.idempotency import Claim, StoredBeforeError
from errand.store.new_job import NewJob, TooManyDependentsError, TooManyLinksError, UnknownParentError, restore_jobs


async def store_job(
    store: Store, job: Job[..., Any], posted: Posted, give: Callable[[datetime], Mapping[str, Any]]
) -> tuple[NewJob, str, dict[str, str]]:
    """Store one job of what was posted, or find that which the first request under its claim's key stored.

    `give` returns what else is asked of it, as arguments of `NewJob`, for the time at which it is stored. Return it,
    its status and the answer's further headers. Raises Problem (422, 503).
    """
    id = str(uuid4())

    def build(now: datetime) -> list[NewJob]:
        return [NewJob(job, posted.payloads[0], id=id, **give(now))]

    (new,), (status,), headers = await store_once(store, id, build, posted.claim, holder=posted.holder)
    return new, status, headers


async def store_once(
    store: Store,
    id: str,
    build: Callable[[datetime], Sequence[NewJob]],
    claim: Claim | None,
    batch_type: str | None = None,
    holder: str | None = None,
) -> tuple[Sequence[NewJob], list[str], dict[str, str]]:
    """Store the jobs, or find those that the first request under the claim's key stored.

    `id` is the job's, or the batch's where there is a `batch_type`; `build` returns the jobs for the time at which they
    are stored; `holder` holds what of their payloads lies outside. Returns them, their statuses as first answered, and
    the answer's further headers. Raises Problem (422, 503).
    """
    kind, batch = ("batch", (id, batch_type)) if batch_type else ("job", None)
    detail = f"Redis did not answer; the {kind} may have been stored, under this id"
    if claim:
        detail += f" or an earlier request's. Send it again under the same {HEADER}"
    try:
        with tell_refusals():
            async with redis_deadline(detail, id=id):
                await store.enqueuer.memory.check()  # which sets the clock
                jobs = build(store.clock.moment())
                statuses = await store.enqueuer.store(jobs, batch, claim, holder)
                return jobs, statuses, {UNIQUE: "stored"} if jobs[0].unique else {}
    except UniqueJobError as error:
        return [replace(jobs[0], id=error.id)], [error.status], {UNIQUE: error.taken}
    except StoredBeforeError as error:
        stored = error.stored
    if claim and stored.fingerprint not in (claim.fingerprint, claim.earlier):
        raise refuse_reuse()
    headers = REPLAYED | ({UNIQUE: stored.unique or "stored"} if jobs[0].unique else {})
    return restore_jobs(jobs, stored.id, stored.created_at, stored.run_at), stored.list_statuses(len(jobs)), headers


@contextmanager
def tell_refusals() -> Iterator[None]:
    """Tell what the store refuses inside the block as problems (422, 503)."""
    try:
        yield
    except UnknownParentError as error:
        fault = {"loc": ("after",), "msg": f"there is no job or batch {error}; it may have expired"}
        raise refuse_input([fault], in_body=False) from None
    except TooManyDependentsError as error:
        fault = {
            "loc": ("after",),
            "msg": f"{error.kind} {error} has {keys.DEPENDENTS_LIMIT:,} dependents, the most there may be",
        }
        raise refuse_input([fault], in_body=False) from None
    except TooManyLinksError as error:
        detail = f"a batch counts as its jobs, so they would wait for {int(str(error)):,}, all together; "
        detail += f"{keys.LINKS_LIMIT:,} at most. Let one job wait for the batch, and these for that job"
        raise refuse_input([{"loc": ("after",), "msg": detail}], in_body=False) from None
    except BodiesGoneError:
        detail = "A part of the body was gone from Redis before the job was stored. Nothing was stored; try again"
        raise Problem(503, "body-gone", detail, RETRY_AFTER) from None
