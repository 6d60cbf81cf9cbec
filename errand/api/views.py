"""Jobs and batches as the API shows them."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema
from rq.job import JobStatus as RQStatus
from rq.utils import utcformat

from errand.api.http.prefix import link
from errand.contract.expiry import write_expiry
from errand.store.batch import BatchStatus
from errand.store.new_job import NewJob
from errand.store.status import JobError, JobStatus, LinkedJob, Progress, Waiting

# Fields of JobStatus that are shown otherwise, or not.
APART = ("batch", "waiting", "expires_at", "dependents_pending", "lines")


class JobView(BaseModel):
    """A job. `percent` is 100 when it has finished and only then; `status` is RQ's word.

    `waiting` is there only where no worker takes a queued job, and says why: none knows its type, for example;
    `expires_at` only where it was asked for, `dependents_pending` only while the job has ended and as many of its
    dependents are still to be settled, and `payload` where `fields` asks for it.
    """

    id: str
    type: str
    queue: str
    status: str
    progress: Progress
    attempts: int
    interruptions: int
    losses: int
    retries_left: int
    created_at: str | None
    enqueued_at: str | None
    run_at: str | None
    started_at: str | None
    ended_at: str | None
    result: Any
    error: JobError | None
    tags: list[str]
    depends_on: list[str]
    dependents: list[LinkedJob]
    links: dict[str, str]
    waiting: Waiting | SkipJsonSchema[None] = None
    expires_at: str | SkipJsonSchema[None] = None
    dependents_pending: int | SkipJsonSchema[None] = None
    payload: Any = None


class GoneJobView(BaseModel):
    """A job of a batch that has expired or was deleted: how it ended, which the batch's record keeps.

    `deleted` is one that was deleted before it had ended.
    """

    id: str
    type: str
    status: str
    result: None
    error: None
    links: dict[str, str]


class BatchView(BaseModel):
    """A batch by its jobs' statuses; `percent` tells how many of them have ended, well or not."""

    id: str
    type: str
    created_at: str
    total: int
    percent: int
    created: int
    queued: int
    started: int
    finished: int
    failed: int
    scheduled: int
    deferred: int
    ready_to_enqueue: int
    rate_limited: int
    canceled: int
    stopped: int
    deleted: int
    links: dict[str, str]


class NewBatchView(BaseModel):
    """A batch that was just stored, with its jobs in the order of the items."""

    id: str
    type: str
    total: int
    jobs: list[JobView]
    links: dict[str, str]


class RequeuedView(BaseModel):
    """How many failed jobs of a queue were queued again."""

    queue: str
    requeued: int


def job_link(id: str) -> str:
    """Return the path of a job, as this request's client reaches it."""
    return link(f"/v1/jobs/{id}")


def batch_link(id: str) -> str:
    """Return the path of a batch, as this request's client reaches it."""
    return link(f"/v1/batches/{id}")


def show_job(job: JobStatus) -> dict[str, Any]:
    """Return a job that was read."""
    fields = {name: value for name, value in vars(job).items() if name not in APART}
    waiting = {"waiting": vars(job.waiting)} if job.waiting else {}
    pending = {"dependents_pending": job.dependents_pending} if job.dependents_pending else {}
    return {
        **fields,
        **waiting,
        **pending,
        **_show_expiry(job.expires_at),
        "progress": vars(job.progress),
        "error": job.error and vars(job.error),
        "dependents": [vars(child) for child in job.dependents],
        "links": _link(job),
    }


def show_new_job(job: NewJob, status: str) -> dict[str, Any]:
    """Return a job that was just stored, as `show_job` would, without reading it back."""
    assert job.created_at is not None
    created_at = utcformat(job.created_at)
    expires_at = job.find_expiry(job.created_at)
    return {
        "id": job.id,
        "type": job.type.type,
        "queue": job.type.queue.name,
        "status": status,
        "progress": vars(Progress()),
        "attempts": 0,
        "interruptions": 0,
        "losses": 0,
        "retries_left": job.retry.retries,
        "created_at": created_at,
        "enqueued_at": created_at if status == "queued" else None,
        "run_at": job.due_at.strftime("%Y-%m-%dT%H:%M:%SZ") if job.due_at else None,
        "started_at": None,
        "ended_at": None,
        "result": None,
        "error": None,
        "tags": job.tags,
        "depends_on": job.after,
        "dependents": [],
        "links": _link(job),
        **_show_expiry(None if expires_at is None else write_expiry(expires_at)),
    }


def _show_expiry(expires_at: str | None) -> dict[str, str]:
    return {"expires_at": expires_at} if expires_at else {}


def read_age(stored: str | None, now: float) -> float | None:
    """Return how many seconds before `now` a time was that Redis keeps; None where there is none, or a damaged one."""
    try:
        moment = datetime.fromisoformat(stored or "")
    except ValueError:
        return None
    return round(max(0.0, now - moment.replace(tzinfo=UTC).timestamp()), 3)


def show_batch(batch: BatchStatus) -> dict[str, Any]:
    """Return a batch that was read."""
    counts = {status: batch.counts.get(status, 0) for status in (*(word.value for word in RQStatus), "deleted")}
    percent = 100 * batch.ended // batch.total
    head = {"id": batch.id, "type": batch.type, "created_at": batch.created_at, "total": batch.total}
    return {**head, "percent": percent, **counts, "links": link_batch(batch.id)}


def link_batch(id: str) -> dict[str, str]:
    """Return a batch's links."""
    return {"self": batch_link(id), "jobs": f"{batch_link(id)}/jobs"}


def show_gone(id: str, type: str, status: str, batch: str) -> dict[str, Any]:
    """Return what is known of a batch's job that is gone."""
    links = {"batch": batch_link(batch)}
    return {"id": id, "type": type, "status": status, "result": None, "error": None, "links": links}


def _link(job: JobStatus | NewJob) -> dict[str, str]:
    links = {"self": job_link(job.id)}
    return {**links, "batch": batch_link(job.batch)} if job.batch else links
