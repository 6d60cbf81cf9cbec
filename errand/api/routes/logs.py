"""`/v1/jobs/{id}/logs`: what a job has logged and printed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.ids import check_id, missing
from errand.api.store import get_store
from errand.store.observe.logs import LogLine

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS)

After = Annotated[int, Query(ge=0, le=2**53, description="The lines after the one of this number alone.")]


class LogView(BaseModel):
    """A job's lines, oldest first; `dropped` is how many more there were that are not kept."""

    items: list[LogLine]
    dropped: int


@router.get("/{id}/logs", response_model=LogView, summary="Read what a job logged")
async def read_logs(request: Request, id: str, after: After = 0) -> JSONResponse:
    """Return what the job has logged and printed, in all of its attempts: the last 1,000 lines and 64 KiB.

    For a printed line, `level` is `print` and `logger` is `stdout` or `stderr`.
    """
    async with redis_deadline():
        page = await get_store(request).observe.logs.read(check_id(id, "job"), after)
    if page is None:
        raise missing(id, "job")
    return JSONResponse({"items": [show_line(line) for line in page.items], "dropped": page.dropped})


def show_line(line: LogLine) -> dict[str, Any]:
    """Return a line as the API shows it."""
    return vars(line)
