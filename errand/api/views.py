"""Jobs and batches as the API shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema
from rq.job import JobStatus as RQStatus

from errand.api.http.prefix import link
from errand.store.batch import BatchStatus
from errand.store.new_job import NewJob
from errand.store.status import JobFields, JobStatus, Waiting, build_status

UNSHOWN = ("batch", "lines")  # of JobStatus; the batch is among the links
LEFT_OUT = ("waiting", "dependents_pending", "expires_at")  # where there is none


@dataclass
class JobView(JobFields):
    """A job. `percent` is 100 when it has finished and only then; `status` is RQ's word.

    `waiting` is there only where no worker takes a queued job, and says why: none knows its type, for example;
    `expires_at` only where it was asked for, `dependents_pending` only while the job has ended and as many of its
    dependents are still to be settled, and `payload` where `fields` asks for it.
    """

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
    """A batch by its jobs' statuses; `percent` is how many of them have ended, well or not."""

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
    """Return a job as the fields of `JobView`."""
    shown = vars(job).copy()
    for name in UNSHOWN:
        del shown[name]
    for name in LEFT_OUT:
        if not shown[name]:
            del shown[name]
    shown["progress"] = vars(job.progress)
    if job.error:
        shown["error"] = vars(job.error)
    if job.waiting:
        shown["waiting"] = vars(job.waiting)
    shown["dependents"] = [vars(child) for child in job.dependents]
    shown["links"] = {"self": job_link(job.id)}
    if job.batch:
        shown["links"]["batch"] = batch_link(job.batch)
    return shown


def show_new_job(job: NewJob, status: str) -> dict[str, Any]:
    """Return the `JobView` of a job that was just stored, without reading it back."""
    return show_job(build_status(job, status))


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
