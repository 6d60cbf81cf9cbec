"""`/console/batches`: jobs that were posted together, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass

from errand.api.console.page import Content, Look, View
from errand.api.http.problems import Problem
from errand.api.routes.listing import read_place
from errand.store.batch import BatchStatus, filter_batches

LIMIT = 25  # on one page; each is read with the counts of its jobs
# The parts of a bar from the left: the class for its colour, and the statuses in it; the rest waits.
PARTS = {
    "finished": ("finished",),
    "failed": ("failed", "stopped"),
    "canceled": ("canceled", "deleted"),
    "started": ("started",),
}


@dataclass(frozen=True)
class Segment:
    """A part of a bar, in percent of its width."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True)
class BatchLine:
    """A batch as it is shown: `counts` has the jobs in each part of its bar, `waiting` those in none."""

    batch: BatchStatus
    state: str
    counts: Mapping[str, int]
    waiting: int
    segments: list[Segment]

    @property
    def percent(self) -> int:
        """How many percent of its jobs have ended: 100 only when all have."""
        return 100 * self.batch.ended // max(1, self.batch.total)


async def read_batches(look: Look) -> Content:
    """Return what the page shows. Raises RedisError."""
    type, cursor = look.query.get("type"), look.query.get("cursor")
    wanted, fault = filter_batches(type), ""
    found, after = [], None
    try:
        page = await look.store.batches.list(wanted, LIMIT, read_place(wanted, cursor))
        found, after = page.batches, page.next
    except Problem as problem:
        fault = problem.extra["errors"][0]["detail"]
    listed = {
        "lines": list(map(build_line, found)),
        "next": after and wanted.write_cursor(after),
        "fault": fault,
        "cursor": cursor,
        "type": type,
    }
    types = sorted({*look.store.types, *([type] if type else [])})
    return Content("Batches", {"list": listed}, {"type": type, "types": types}, 422 if fault else 200)


def build_line(batch: BatchStatus) -> BatchLine:
    """Return a batch with what its bar is made of."""
    counts = {kind: sum(batch.counts.get(status, 0) for status in statuses) for kind, statuses in PARTS.items()}
    segments, x = [], 0.0
    for kind, count in counts.items():
        width = round(100 * count / max(1, batch.total), 3)
        if count:
            segments.append(Segment(kind, round(x, 3), width))
        x += width
    return BatchLine(batch, _judge(batch, counts), counts, batch.total - sum(counts.values()), segments)


def _judge(batch: BatchStatus, counts: Mapping[str, int]) -> str:
    """Return its state; of one that has ended, the worst of its jobs' ends."""
    if batch.has_ended:
        return next((kind for kind in ("failed", "canceled") if counts[kind]), "finished")
    if counts["started"] or batch.ended:
        return "running"
    waits = {status for status, count in batch.counts.items() if count}
    return waits.pop() if len(waits) == 1 else "waiting"


batches = View("batches", "/batches", read_batches, "batches", ("type", "cursor"))
