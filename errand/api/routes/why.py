"""`/v1/jobs/{id}/why`: why a job has not started."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.ids import check_id, missing
from errand.api.store import get_store
from errand.api.views import job_link
from errand.store.observe.rate import Expected
from errand.store.observe.verdicts import LinkedBatch
from errand.store.observe.why import Why
from errand.store.status import JobError, LinkedJob

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS)

VerdictWord = Literal[
    "waits_for_jobs",
    "waits_for_retry",
    "waits_for_time",
    "waits_for_key",
    "rq_suspended",
    "queue_paused",
    "no_worker",
    "type_unknown",
    "payload_refused",
    "type_held",
    "rate",
    "workers_busy",
    "starting",
    "started",
    "ended",
]


class ExpectedView(BaseModel):
    """In how many seconds a job is expected to start: with even odds (`p50`), and nine times out of ten (`p90`)."""

    p50_seconds: float
    p90_seconds: float | None
    p50_at: str
    p90_at: str | None


class WorkerCountsView(BaseModel):
    """How many workers live, how many of these serve the job's queue, can run the job as well, and are idle."""

    live: int
    serving: int
    able: int
    free: int


class WhyView(BaseModel):
    """What a job waits for: `verdict` for machines, `reason` for people, `then` what else would hold it up after that.

    The other fields are there where they apply: `since` and `until` when; `before` how many jobs are before it, about
    so many unless `exact`; `expected` when it starts, by the ends of the last minutes; `jobs` and `batches` those that
    it waits for; `error` that of its last attempt; `worker` the one that runs it.
    """

    id: str
    type: str
    queue: str
    status: str
    verdict: VerdictWord
    reason: str
    then: list[VerdictWord]
    since: str | SkipJsonSchema[None] = None
    until: str | SkipJsonSchema[None] = None
    before: int | SkipJsonSchema[None] = None
    exact: bool | SkipJsonSchema[None] = None
    expected: ExpectedView | SkipJsonSchema[None] = None
    jobs: list[LinkedJob] | SkipJsonSchema[None] = None
    batches: list[LinkedBatch] | SkipJsonSchema[None] = None
    error: JobError | SkipJsonSchema[None] = None
    worker: str | SkipJsonSchema[None] = None
    workers: WorkerCountsView | SkipJsonSchema[None] = None
    links: dict[str, str]


@router.get("/{id}/why", response_model=WhyView, operation_id="read_why", summary="Why has a job not started?")
async def read_why(request: Request, id: str) -> JSONResponse:
    """Return what the job waits for: the first cause that has to go before it can start. One that has says so."""
    store = get_store(request)
    async with redis_deadline():
        why = await store.observe.why.read(check_id(id, "job"))
    if why is None:
        raise missing(id, "job")
    return JSONResponse(_show(why, store.clock.now()))


def _show(why: Why, now: float) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(why.verdict).items() if value is not None and name != "blocks"}
    if why.verdict.expected:
        facts["expected"] = _show_expected(why.verdict.expected, now)
    return {
        "id": why.id,
        "type": why.type,
        "queue": why.queue,
        "status": why.status,
        "verdict": facts.pop("word"),
        "reason": facts.pop("reason"),
        "then": why.then,
        **facts,
        **({"workers": asdict(why.workers)} if why.workers else {}),
        "links": {"self": f"{job_link(why.id)}/why", "job": job_link(why.id)},
    }


def _show_expected(expected: Expected, now: float) -> dict[str, Any]:
    slow = expected.p90_seconds
    return {
        **asdict(expected),
        "p50_at": _write(now + expected.p50_seconds),
        "p90_at": None if slow is None else _write(now + slow),
    }


def _write(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
