"""Storing a request's jobs once, whatever happens to the answer."""

from collections.abc import Sequence

from errand.api.http.deadline import redis_deadline
from errand.api.http.idempotency import HEADER, REPLAYED, refuse_reuse
from errand.api.http.problems import refuse_input
from errand.api.state import Road
from errand.redis import keys
from errand.store.idempotency import Claim, StoredBeforeError
from errand.store.new_job import NewJob, TooManyDependentsError, UnknownParentError, restore_jobs


async def store_once(
    road: Road, jobs: Sequence[NewJob], claim: Claim | None, batch: tuple[str, str] | None = None
) -> tuple[Sequence[NewJob], list[str], dict[str, str]]:
    """Store the jobs, or find those that the first request under the claim's key stored.

    Returns the jobs, their statuses as first answered, and the answer's further headers. Raises Problem (422, 503).
    """
    kind, id = ("batch", batch[0]) if batch else ("job", jobs[0].id)
    detail = f"Redis did not answer; the {kind} may have been stored, under this id"
    if claim:
        detail += f" or an earlier request's. Send it again under the same {HEADER}"
    try:
        async with redis_deadline(detail, id=id):
            return jobs, await road.enqueuer.store(jobs, batch, claim), {}
    except UnknownParentError as error:
        fault = {"loc": ("after",), "msg": f"there is no job {error}; it may have expired"}
        raise refuse_input([fault], in_body=False) from None
    except TooManyDependentsError as error:
        fault = {
            "loc": ("after",),
            "msg": f"job {error} has {keys.DEPENDENTS_LIMIT:,} dependents, the most there may be",
        }
        raise refuse_input([fault], in_body=False) from None
    except StoredBeforeError as error:
        stored = error.stored
    if claim and claim.fingerprint != stored.fingerprint:
        raise refuse_reuse()
    return restore_jobs(jobs, stored.id, stored.created_at, stored.run_at), stored.list_statuses(len(jobs)), REPLAYED
