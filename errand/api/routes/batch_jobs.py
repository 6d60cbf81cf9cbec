"""`GET /v1/batches/{id}/jobs`: what became of each item of a batch."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.query import refuse
from errand.api.ids import check_id, missing
from errand.api.routes.listing import Cursor, Limit, Status, link_next, read_place
from errand.api.shown_fields import Fields, read_fields, show_jobs
from errand.api.store import get_store
from errand.api.views import GoneJobView, JobView, show_gone
from errand.store.batch_jobs import PageOfBatchJobs, filter_batch
from errand.store.index import ForeignCursorError

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEMS)


class BatchJobPage(BaseModel):
    """Some jobs of a batch in the order of its items; `next` is the cursor of the next page, null after the last."""

    items: list[JobView | GoneJobView]
    next: str | None


@router.get("/{id}/jobs", response_model=BatchJobPage, summary="List the jobs of a batch")
async def list_batch_jobs(
    request: Request,
    id: str,
    status: Annotated[Status | Literal["deleted"] | None, Query(description="With this status alone.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    fields: Fields = None,
) -> Response:
    """Return the batch's jobs, with their results, in the order of its items.

    A job that has expired or was deleted is shown from the batch's record: its id, and the status with which it ended.
    """
    wanted, asked = filter_batch(check_id(id, "batch"), status), read_fields(fields)
    place = read_place(wanted, cursor)
    try:
        async with redis_deadline():
            page = await get_store(request).batches.jobs.read(wanted, limit, place)
    except ForeignCursorError as error:
        raise refuse("cursor", str(error)) from None
    if page is None:
        raise missing(id, "batch")
    items = await _show(request, id, page, asked)
    body = {"items": items, "next": page.next and wanted.write_cursor(page.next)}
    return Response(to_json(body), headers=link_next(request, body), media_type="application/json")


async def _show(request: Request, id: str, page: PageOfBatchJobs, asked: list[str]) -> list[dict[str, Any]]:
    shown = iter(await show_jobs(get_store(request), [one.job for one in page.jobs if one.job], asked))
    return [next(shown) if one.job else show_gone(one.id, page.type, one.status, id) for one in page.jobs]
