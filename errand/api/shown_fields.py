"""`fields`: what of a job is shown only where it is asked for."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from errand.api.http.deadline import redis_deadline
from errand.api.http.problems import refuse_input
from errand.api.store import Store
from errand.api.views import show_job
from errand.store.observe.payloads import show_payload
from errand.store.status import JobStatus

FIELDS = ("payload",)
Fields = Annotated[
    str | None, Query(max_length=255, description="What more to show of a job, with commas between: `payload`.")
]


def read_fields(text: str | None) -> list[str]:
    """Return the fields that a query asks for. Raises Problem 422."""
    names = [] if text is None else [name.strip() for name in text.split(",")]
    unknown = [name for name in dict.fromkeys(names) if name not in FIELDS]
    if unknown:
        known = ", ".join(FIELDS)
        errors = [{"loc": ("fields",), "msg": f"there is no field {name!r}; there is: {known}"} for name in unknown]
        raise refuse_input(errors, in_body=False)
    return names


async def show_jobs(store: Store, jobs: Sequence[JobStatus], fields: Sequence[str]) -> list[dict[str, Any]]:
    """Return jobs as the API shows them, with the `fields` that are asked for. Raises Problem 503."""
    shown = [show_job(job) for job in jobs]
    if "payload" in fields:
        async with redis_deadline():
            payloads = await store.observe.payloads.read([job.id for job in jobs])
        for view, packed in zip(shown, payloads, strict=True):
            type = store.types.get(view["type"])
            view["payload"] = show_payload(packed, type.payload.whole if type else None)
    return shown
