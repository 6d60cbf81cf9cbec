"""Which script stores jobs, and what its answer means: for whatever client calls it."""

from collections.abc import Sequence
from typing import Any, Literal

from errand.store.bodies import BodiesGoneError
from errand.store.idempotency import StoredBeforeError, read_record
from errand.store.new_job import NewJob, TooManyDependentsError, TooManyLinksError, UnknownParentError

PLAIN, LARGE, UNIQUE = "store/enqueue", "store/enqueue_large", "store/enqueue_unique"
AFTER = "store/enqueue_after"
SCRIPTS = (PLAIN, LARGE, UNIQUE, AFTER)
Taken = Literal["existing", "replaced"]


class UniqueJobError(Exception):
    """Raised where the answer to a job with a unique key is another one, which waits or runs under it: `id`, `status`.

    `taken` says whether that one is as it was (`existing`; nothing was stored), or became the new one (`replaced`).
    """

    def __init__(self, id: str, status: str, taken: Taken) -> None:
        super().__init__(f"job {id} waits or runs under this unique key ({taken})")
        self.id, self.status, self.taken = id, status, taken


def choose_script(jobs: Sequence[NewJob], holder: str | None) -> str:
    """Return the name of the script that stores these jobs; `holder` as `Enqueuer.store` takes it."""
    if jobs[0].unique:
        return UNIQUE
    own = {job.id for job in jobs} if len(jobs) > 1 else ()
    if any(job.after and not all(id in own for id in job.after) for job in jobs):
        return AFTER
    return LARGE if holder else PLAIN


def read_answer(answer: Any, jobs: Sequence[NewJob], id: str) -> list[str]:
    """Return the statuses of jobs that were stored under `id`, the job's or the batch's.

    Raises UnknownParentError, TooManyDependentsError, TooManyLinksError, StoredBeforeError, BodiesGoneError and
    UniqueJobError.
    """
    if isinstance(answer, bytes):
        return answer.decode().split(" ")
    what = answer[1].decode() if answer[0] != -2 else ""
    match answer[0]:
        case -1:
            raise UnknownParentError(what)
        case -3:
            raise TooManyDependentsError(what)
        case -4:
            raise BodiesGoneError(what)
        case -5:
            raise UniqueJobError(what, answer[2].decode(), "existing")
        case -6:
            raise UniqueJobError(what, answer[2].decode(), "replaced")
        case -7:
            raise TooManyLinksError(what)
        case -8:
            raise TooManyDependentsError(what, "batch")
    stored = read_record(answer[1])
    if stored.id != id:
        raise StoredBeforeError(stored)
    return stored.list_statuses(len(jobs))  # this very call, sent again because its reply was lost
