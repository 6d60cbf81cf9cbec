"""`/console/batches/{id}`: one batch, how far it is and what failed of it."""

import asyncio
from dataclasses import dataclass
from typing import Any, get_args

from errand.api.console.page import Content, Look, View
from errand.api.console.views.batches import build_line
from errand.api.ids import check_id, missing
from errand.api.routes.listing import Status
from errand.api.store import Store
from errand.store.batch import BatchStatus
from errand.store.batch_jobs import filter_batch
from errand.store.new_job import derive_ids

JOBS_SHOWN, PARENTS_SHOWN, GROUPS_SHOWN = 20, 10, 20
GROUPS_SECONDS = 3.0  # so old they may be: with 1,000 waiting jobs they take Redis as long as the rest of the page
STATUSES = (*get_args(Status), "deleted")


@dataclass(frozen=True)
class Parent:
    """What the batch waits for, or waited for: a job or a batch, whose status is None where it is gone."""

    id: str
    kind: str
    status: str | None


async def read_batch(look: Look) -> Content:
    """Return what the page shows. Raises Problem 404 and RedisError."""
    store, id = look.store, check_id(look.path["id"], "batch")
    batch, failures, parents = await asyncio.gather(
        store.batches.read(id),
        look.cache.get(f"failures {id}", GROUPS_SECONDS, lambda: store.observe.failures.read_batch(id)),
        _read_parents(store, id),
    )
    if batch is None:
        raise missing(id, "batch")
    line, running = build_line(batch), bool(batch.counts.get("started"))
    page = await store.batches.jobs.read(filter_batch(id, "started" if running else None), JOBS_SHOWN)
    sections: dict[str, dict[str, Any]] = {
        "head": {"line": line, "batch": batch, "parents": parents},
        "counts": {"batch": batch, "counts": _order(batch)},
        "groups": {"batch": batch, "groups": failures.groups[:GROUPS_SHOWN]},
        "jobs": {"batch": batch, "jobs": page.jobs if page else [], "is_running": running},
    }
    return Content(f"Batch {id[:8]}", sections, {"batch": batch})


def _order(batch: BatchStatus) -> list[tuple[str, int]]:
    """Return how many jobs have each status, in the order of a job's life, without statuses that none has."""
    return [(status, batch.counts[status]) for status in STATUSES if batch.counts.get(status)]


async def _read_parents(store: Store, id: str) -> list[Parent]:
    """Return what its jobs wait for. All wait for the same, so the first job is read, as long as it is there."""
    (first,) = derive_ids(id, 1)
    job = await store.jobs.read(first)
    ids = job.depends_on if job and job.batch == id else []
    found = await asyncio.gather(*(_read_parent(store, one) for one in ids[:PARENTS_SHOWN]))
    return [*found, *(Parent(one, "job", None) for one in ids[PARENTS_SHOWN:])]


async def _read_parent(store: Store, id: str) -> Parent:
    if job := await store.jobs.read(id):
        return Parent(id, "job", job.status)
    if batch := await store.batches.read(id):
        return Parent(id, "batch", build_line(batch).state)
    return Parent(id, "job", None)


batch = View("batch", "/batches/{id}", read_batch, "batches")
