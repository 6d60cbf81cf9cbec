"""`/metrics`: the service's figures for Prometheus."""

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from errand.api.http.deadline import redis_deadline
from errand.api.http.openapi import PROBLEMS
from errand.api.prometheus_text import render
from errand.api.store import get_store

OPEN_METRICS = "application/openmetrics-text"
router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get(
    "/metrics",
    summary="Read the metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {OPEN_METRICS: {}}, "description": "Prometheus' text format, or OpenMetrics"}},
)
async def read_metrics(request: Request) -> Response:
    """Return the figures of the whole service, out of Redis: every instance answers the same, so scrape one address.

    A key whose name is `metrics` opens this and nothing else.
    """
    store = get_store(request)
    async with redis_deadline():
        figures = await store.observe.metrics.read(store.queues)
    # Some milliseconds for ten types, more where there are very many queues.
    text, media_type = await asyncio.to_thread(render, figures, store.types, request.headers.get("Accept", ""))
    return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})
