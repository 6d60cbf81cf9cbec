"""What a job is related to: jobs that it waits for, its webhooks, and what it reports if it is a webhook itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from errand.api.store import Store
from errand.store.observe.record import Record
from errand.store.status import ENDED, JobStatus, LinkedJob
from errand.webhook.webhooks import TYPE

PARENTS_SHOWN = 20
WORDS = {"finished": "delivered", "failed": "given up", "canceled": "canceled", "stopped": "stopped"}


@dataclass(frozen=True)
class WebhookDelivery:
    """A webhook on its way: `word` says how far it has come, `job` is the job that delivers it."""

    word: str
    kind: str
    job: JobStatus


async def read_linked(store: Store, job: JobStatus, record: Record, payload: Any) -> dict[str, Any]:
    """Return what the page shows of it. Raises RedisError."""
    parent_ids = job.depends_on[:PARENTS_SHOWN]
    webhook_ids = record.list_webhook_ids() if job.status in ENDED and job.type != TYPE else []
    found = await asyncio.gather(*(store.jobs.read(id) for id in (*parent_ids, *webhook_ids)))
    parents = [LinkedJob(id, one.status if one else None) for id, one in zip(parent_ids, found, strict=False)]
    return {
        "job": job,
        "parents": parents,
        "webhook": record.webhook,
        "has_ended": job.status in ENDED,
        "deliveries": _list_deliveries(found[len(parent_ids) :]),
        "reported": _find_reported(job, payload),
    }


def _list_deliveries(found: Sequence[JobStatus | None]) -> list[WebhookDelivery]:
    """Return the webhooks that there are."""
    return [WebhookDelivery(*_describe(one), one) for one in found if one is not None and one.type == TYPE]


def _describe(delivery: JobStatus) -> tuple[str, str]:
    """Return how far a webhook has come, in words, and the status whose colour it has."""
    if delivery.status in ENDED:
        return WORDS[delivery.status], delivery.status
    is_again = delivery.attempts > (delivery.status == "started")
    return ("failing", "failed") if is_again else ("on its way", delivery.status)


def _find_reported(job: JobStatus, payload: Any) -> tuple[str, str] | None:
    """Return what a webhook reports, as a page's name and an id; None for other jobs and for events of your own."""
    data = payload.get("data") if job.type == TYPE and isinstance(payload, dict) else None
    id = data.get("id") if isinstance(data, dict) else None
    if not isinstance(id, str):
        return None
    event = str(payload.get("type"))
    return ("batch", id) if event.startswith("batch.") else ("job", id) if event.startswith("job.") else None
