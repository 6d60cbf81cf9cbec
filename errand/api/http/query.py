"""Query parameters: unknown and repeated ones are refused; groups of them are read as dataclasses."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from inspect import signature
from typing import Any, TypeVar, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from errand.api.http.problems import Problem, refuse_input

T = TypeVar("T")

# RFC 3339, section 5.6; in a query the offset's + arrives as a space.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)", re.ASCII)


async def refuse_unknown(request: Request) -> None:
    """Refuse query parameters that the route does not have, and those that repeat and may not. Raises Problem 422."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = dict(_list_known(route.dependant))
    counts = Counter(name for name, _ in request.query_params.multi_items())
    errors = [{"loc": (name,), "msg": fault} for name, n in counts.items() if (fault := _find_fault(name, n, known))]
    if errors:
        raise refuse_input(errors, in_body=False)


def _find_fault(name: str, count: int, known: Mapping[str, bool]) -> str | None:
    if name not in known:
        return f"there is no such parameter here; known: {', '.join(sorted(known)) or 'none'}"
    return f"it is there {count} times; give it once" if count > 1 and not known[name] else None


def _list_known(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the names of a route's query parameters, and whether they may repeat: those are lists."""
    for field in dependant.query_params:
        yield field.alias, get_origin(field.field_info.annotation) is list
    for dependency in dependant.dependencies:
        yield from _list_known(dependency)


def build_reader(fields: type[T], method: Callable[[T], Any] | None = None) -> Callable[..., Awaitable[Any]]:
    """Return a dependency that reads a dataclass's fields from the query, and returns it, or what its `method` returns.

    The class itself would do, but FastAPI calls in a thread whatever is no coroutine function.
    """

    async def read(**values: Any) -> Any:
        found = fields(**values)
        return found if method is None else method(found)

    read.__signature__ = signature(fields)  # type: ignore[attr-defined]
    return read


def read_moment(text: str, parameter: str) -> datetime:
    """Return a query's RFC 3339 time in UTC. Raises Problem 422."""
    match = _RFC3339.fullmatch(text)
    try:
        if not match:
            raise ValueError
        offset = match[2].upper().replace(" ", "+")
        return datetime.fromisoformat(text[: match.start(2)].replace(" ", "T").upper() + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refuse(parameter, "write RFC 3339 with an offset: 2026-12-24T18:00:00+01:00 or …Z") from None


def refuse(parameter: str, detail: str) -> Problem:
    """Return the 422 for one parameter."""
    return refuse_input([{"loc": (parameter,), "msg": detail}], in_body=False)
