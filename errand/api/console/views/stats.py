"""How many jobs ended, and how long they waited and ran: sums for the overview, and columns for its charts."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from errand.api.console.page import Look
from errand.api.console.render import Renderer
from errand.api.http.problems import Problem
from errand.store.observe.counts import Counts, find_quantiles
from errand.store.observe.stats import Span

HALF_AND_MOST = (0.5, 0.95)


@dataclass(frozen=True)
class Period:
    """A period up to now, in `steps` of `step_seconds` each; its figures may be `fresh_seconds` old."""

    label: str
    step_seconds: int
    steps: int
    fresh_seconds: float


PERIODS = {  # a step is a column of the charts; longer periods cost Redis more, and move more slowly
    "1h": Period("hour", 60, 60, 10.0),
    "24h": Period("24 hours", 300, 288, 60.0),
    "72h": Period("72 hours", 300, 864, 60.0),
}
DEFAULT = "1h"


@dataclass(frozen=True)
class PeriodStats:
    """A period's sums, and its charts' columns."""

    ended: dict[str, int]
    waits: list[float | None]
    runs: list[float | None]
    columns: dict[str, list[Any]]


async def read_stats(look: Look, name: str) -> PeriodStats:
    """Return a period's figures. Raises RedisError."""
    return await look.cache.get(f"stats {name}", PERIODS[name].fresh_seconds, lambda: _read(look, PERIODS[name]))


async def send_stats(request: Request, look: Look, renderer: Renderer) -> Response:
    """Return the columns for a period's charts. Raises Problem 404 and RedisError."""
    name = look.path["period"]
    if name not in PERIODS:
        raise Problem(404, "not-found", f"The periods are {', '.join(PERIODS)}")
    stats = await read_stats(look, name)
    return JSONResponse(stats.columns, headers={"Cache-Control": "no-store"})


async def _read(look: Look, period: Period) -> PeriodStats:
    step = period.step_seconds
    last = int(look.store.clock.now() // step)
    spans = await look.store.observe.stats.read(step, (last - period.steps + 1) * step, period.steps)
    return await asyncio.to_thread(lambda: _sum_up(spans.build(), step))


def _sum_up(spans: Sequence[Span], step_seconds: int) -> PeriodStats:
    sums = [(span.start, _add(span.counts.values())) for span in spans]
    total = _add(counts for _, counts in sums)
    columns: dict[str, list[Any]] = {"at": [start for start, _ in sums]}
    ended = [counts.count_jobs() for _, counts in sums]
    for outcome in ("finished", "failed"):
        columns[outcome] = [_round(one[outcome] * 60 / step_seconds) for one in ended]
    for name, quantiles in (
        ("wait", [find_quantiles(counts.waits, HALF_AND_MOST) for _, counts in sums]),
        ("run", [find_quantiles(counts.runs, HALF_AND_MOST) for _, counts in sums]),
    ):
        columns[f"{name}_p50"], columns[f"{name}_p95"] = ([_round(one[i]) for one in quantiles] for i in (0, 1))
    waits, runs = find_quantiles(total.waits, HALF_AND_MOST), find_quantiles(total.runs, HALF_AND_MOST)
    return PeriodStats(total.count_jobs(), waits, runs, columns)


def _add(found: Iterable[Counts]) -> Counts:
    total = Counts()
    for counts in found:
        total.add(counts)
    return total


def _round(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.3g}")
