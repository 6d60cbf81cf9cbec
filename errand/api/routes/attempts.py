"""`/v1/jobs/{id}/attempts`: how each run of a job went."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.ids import check_id, missing
from errand.api.store import get_store
from errand.store.status import JobError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS)

Full = Annotated[bool, Query(description="The tracebacks as Python wrote them, the libraries' frames too.")]


class AttemptView(BaseModel):
    """One run of a job; `outcome` is null while it runs.

    `frame` is where in the job's own code the error came from; `traceback` is null where none is kept.
    """

    number: int
    worker: str | None
    started_at: str | None
    ended_at: str | None
    outcome: Literal["finished", "failed", "interrupted", "lost", "stopped"] | None
    error: JobError | None
    frame: str | None
    traceback: str | None


class AttemptList(BaseModel):
    """The attempts of a job that are known, oldest first."""

    items: list[AttemptView]


@router.get("/{id}/attempts", response_model=AttemptList, summary="Read a job's attempts")
async def read_attempts(request: Request, id: str, full: Full = False) -> JSONResponse:
    """Return how a job's attempts went, the oldest first: those that did not finish, and the newest one.

    Of more than 50, the first and the last ones are kept. A traceback begins with the error, then the job's own frames.
    """
    async with redis_deadline():
        attempts = await get_store(request).observe.attempts.read(check_id(id, "job"), full)
    if attempts is None:
        raise missing(id, "job")
    return JSONResponse({"items": [asdict(attempt) for attempt in attempts]})
