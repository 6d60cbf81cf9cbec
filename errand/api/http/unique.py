"""`unique_key`: a job that waits or runs under it is the answer to the next one."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from errand.api.http.idempotency import DESCRIPTION
from errand.api.http.query import Options, read_options, refuse
from errand.contract.storing.asked import WORD

HEADER = "Errand-Unique"
_SHOWN: dict[str, Any] = {
    "description": "With `unique_key`: whether the job was `stored`, or is the `existing` one under its key, or that "
    "one with this payload (`replaced`)",
    "schema": {"type": "string", "enum": ["stored", "existing", "replaced"]},
}

# For `openapi_extra`, beside the header of idempotency, of whose 202 this is one header more.
ANSWERS: dict[str, Any] = {
    "202": {"headers": {**DESCRIPTION["responses"]["202"]["headers"], HEADER: _SHOWN}},
    "200": {"headers": {HEADER: _SHOWN}},
}


async def read_unique(
    options: Annotated[Options, Depends(read_options)],
    unique_key: Annotated[
        str | None,
        Query(pattern=WORD, description="While a job of this type waits or runs under it, that one is the answer."),
    ] = None,
    unique: Annotated[
        Literal["replace"] | None,
        Query(description="`replace`: one that waits for its time becomes this one instead, with its new time."),
    ] = None,
) -> Options:
    """Return what is asked of a new job that is no batch's. Raises Problem 422."""
    if unique_key is None:
        if unique is not None:
            raise refuse("unique", "give unique_key as well")
        return options
    if unique and options.after:
        raise refuse("after", "unique=replace is for jobs that wait for a time, not for others; leave one of them out")
    return replace(options, unique=(unique_key, unique is not None))
