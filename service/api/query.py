"""Query parameters: unknown ones are refused, and when a job may run is read from two of them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.api.problems import refuse_input

FARTHEST = timedelta(days=3650)

# RFC 3339, section 5.6; in a query the offset's + arrives as a space.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)", re.ASCII)


async def refuse_unknown(request: Request) -> None:
    """Refuse query parameters that the route does not have. Raises Problem 422."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = _list_names(route.dependant)
    errors = [
        {"loc": (name,), "msg": f"there is no such parameter here; known: {', '.join(sorted(known)) or 'none'}"}
        for name in request.query_params
        if name not in known
    ]
    if errors:
        raise refuse_input(errors, in_body=False)


def _list_names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*map(_list_names, dependant.dependencies))


async def read_run_at(
    delay_seconds: Annotated[
        float | None,
        Query(ge=0, le=FARTHEST.total_seconds(), allow_inf_nan=False, description="Run it this many seconds from now."),
    ] = None,
    run_at: Annotated[
        str | None,
        Query(
            json_schema_extra={"format": "date-time"},
            description="Run it then: RFC 3339 with offset, `2026-12-24T18:00:00+01:00`. A past time means now.",
        ),
    ] = None,
) -> datetime | None:
    """Return when the job may run, None for now. Raises Problem 422."""
    now = datetime.now(UTC)
    if delay_seconds is not None and run_at is not None:
        raise _refuse("run_at", "give delay_seconds or run_at, not both")
    if delay_seconds:
        return now + timedelta(seconds=delay_seconds)
    moment = _parse(run_at) if run_at is not None else now
    if moment - now > FARTHEST:
        raise _refuse("run_at", f"it is more than {FARTHEST.days} days away")
    return moment if moment > now else None


def _parse(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    try:
        if not match:
            raise ValueError
        offset = match[2].upper().replace(" ", "+")
        return datetime.fromisoformat(text[: match.start(2)].replace(" ", "T").upper() + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refuse("run_at", "write RFC 3339 with an offset: 2026-12-24T18:00:00+01:00 or …Z") from None


def _refuse(parameter: str, detail: str) -> Exception:
    return refuse_input([{"loc": (parameter,), "msg": detail}], in_body=False)
