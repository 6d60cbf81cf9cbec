"""`GET /v1/batches`: the batches, newest first, a page at a time."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.routes.listing import Cursor, Limit, Type, link_next, read_place
from errand.api.store import get_store
from errand.api.views import BatchView, show_batch
from errand.store.batch import filter_batches

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEMS)


class BatchList(BaseModel):
    """Some batches, newest first; `next` is the cursor of the next page, null where there are no more."""

    items: list[BatchView]
    next: str | None


@router.get("", response_model=BatchList, summary="List batches")
async def list_batches(request: Request, type: Type = None, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Return the newest 10,000 batches, each counted as `GET /v1/batches/{id}` does, while their records are kept."""
    wanted = filter_batches(type)
    place = read_place(wanted, cursor)
    async with redis_deadline():
        page = await get_store(request).batches.list(wanted, limit, place)
    body = {"items": list(map(show_batch, page.batches)), "next": page.next and wanted.write_cursor(page.next)}
    return Response(to_json(body), headers=link_next(request, body), media_type="application/json")
