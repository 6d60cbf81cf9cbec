"""`GET /v1/jobs`: the jobs, newest first, a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.http.query import build_reader, read_moment, refuse
from errand.api.shown_fields import Fields, read_fields, show_jobs
from errand.api.store import get_store
from errand.api.views import JobView
from errand.contract.from_python.options import WORD
from errand.store.index import Filter, ForeignCursorError, Place

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS)

Status = Literal[
    "created",
    "queued",
    "started",
    "finished",
    "failed",
    "scheduled",
    "deferred",
    "ready_to_enqueue",
    "rate_limited",
    "canceled",
    "stopped",
]
_TIME: dict[str, Any] = {"format": "date-time"}
Type = Annotated[str | None, Query(min_length=1, max_length=255, description="Of this type alone.")]
QueueName = Annotated[str | None, Query(min_length=1, max_length=255, description="Of this queue alone.")]
Limit = Annotated[int, Query(ge=1, le=100, description="At most so many; a page may hold fewer and not be the last.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before, with the same filters.")]
Batch = Annotated[UUID | None, Query(description="Of this batch alone, while its record is kept.")]
CreatedAfter = Annotated[str | None, Query(json_schema_extra=_TIME, description="Created then or later: RFC 3339.")]
CreatedBefore = Annotated[str | None, Query(json_schema_extra=_TIME, description="Created before that.")]


class JobPage(BaseModel):
    """Some jobs, newest first; `next` is the cursor of the next page, null where there are no more."""

    items: list[JobView]
    next: str | None


@dataclass(frozen=True)
class JobFilters:
    """The query parameters that say which jobs are listed."""

    type: Type = None
    queue: QueueName = None
    status: Annotated[Status | None, Query(description="With this status alone.")] = None
    tag: Annotated[str | None, Query(pattern=WORD, description="With this tag alone.")] = None
    batch: Batch = None
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None

    def build_filter(self) -> Filter:
        """Return them as the store takes them. Raises Problem 422."""
        return Filter(
            type=self.type,
            queue=self.queue,
            status=self.status,
            tag=self.tag,
            batch=None if self.batch is None else str(self.batch),
            created_after=read_time(self.created_after, "created_after"),
            created_before=read_time(self.created_before, "created_before"),
        )


@dataclass(frozen=True)
class PageQuery:
    """The query parameters that say which page of a list of jobs is shown, and what of each job."""

    limit: Limit = 20
    cursor: Cursor = None
    fields: Fields = None


Page = Annotated[PageQuery, Depends(build_reader(PageQuery))]


@router.get("", response_model=JobPage, summary="List jobs")
async def list_jobs(
    request: Request, filters: Annotated[JobFilters, Depends(build_reader(JobFilters))], page: Page
) -> Response:
    """Return the jobs that all filters fit, newest first.

    Going from page to page shows every job that is there all the while, once, whatever comes and goes meanwhile.
    """
    return await answer_page(request, filters.build_filter(), page)


async def answer_page(request: Request, wanted: Filter, query: PageQuery) -> Response:
    """Return a page of jobs with the `Link` to the next one. Raises Problem 422 and 503."""
    asked, place = read_fields(query.fields), read_place(wanted, query.cursor)
    async with redis_deadline():
        page = await get_store(request).index.read(wanted, query.limit, place)
    items = await show_jobs(get_store(request), page.jobs, asked)
    body = {"items": items, "next": page.next and wanted.write_cursor(page.next)}
    # pydantic writes a hundred jobs in a third of the time
    return Response(to_json(body), headers=link_next(request, body), media_type="application/json")


def read_place(wanted: Filter, cursor: str | None) -> Place | None:
    """Return where a cursor goes on, None without one. Raises Problem 422."""
    try:
        return wanted.read_cursor(cursor) if cursor is not None else None
    except ForeignCursorError as error:
        raise refuse("cursor", str(error)) from None


def read_time(text: str | None, parameter: str) -> datetime | None:
    """Return the time in a query, None where there is none. Raises Problem 422."""
    return None if text is None else read_moment(text, parameter)


def link_next(request: Request, body: Mapping[str, Any]) -> dict[str, str]:
    """Return the `Link` to the page after the one whose body is given, nothing for the last."""
    if body["next"] is None:
        return {}
    query = urlencode({**request.query_params, "cursor": body["next"]})
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
