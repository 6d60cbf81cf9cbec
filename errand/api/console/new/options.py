"""The options of a new job: the query parameters of the API's route, as fields of a form."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from pydantic.fields import FieldInfo
from starlette.requests import Request

from errand.api.http.options import PostedOptions, read_unique
from errand.api.http.problems import refuse_input

PREFIX = "o."  # of these fields in the form
FIRST = ("delay_seconds", "run_at", "tag", "at_front", "tries", "timeout_seconds", "expires_in_seconds")
HINTS = {
    "run_at": "2026-12-24T18:00:00+01:00",
    "tag": "separated by spaces",
    "after": "ids, separated by spaces",
    "webhook": "https://…",
}


@dataclass(frozen=True)
class Option:
    """A query parameter: `kind` is line, box or choice; `is_list` where it may repeat."""

    name: str
    kind: str
    note: str
    choices: Sequence[str] = ()
    is_list: bool = False
    hint: str = ""

    @property
    def input(self) -> str:
        """Its name in the form."""
        return PREFIX + self.name


@cache
def list_options() -> tuple[Option, ...]:
    """Return all options, those that are used most often first."""
    found = {field.alias: _build(field.alias, field.field_info) for field in _list_parameters(_get_dependant())}
    order = [*(name for name in FIRST if name in found), *(name for name in found if name not in FIRST)]
    return tuple(found[name] for name in order)


def list_pairs(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the query for what is in the form's fields, without empty ones."""
    pairs = []
    for option in list_options():
        text = values.get(option.name, "").strip()
        words = text.split() if option.is_list else [text]
        pairs += [(option.name, word) for word in words if word]
    return pairs


async def read_options(request: Request) -> PostedOptions:
    """Return what a request's query asks for, as the API's route reads it. Raises Problem 422."""
    async with AsyncExitStack() as stack:
        request.scope["fastapi_inner_astack"] = request.scope["fastapi_function_astack"] = stack
        solved = await solve_dependencies(
            request=request, dependant=_get_dependant(), async_exit_stack=stack, embed_body_fields=False
        )
        if solved.errors:
            raise refuse_input(solved.errors, in_body=False)
        return await read_unique(**solved.values)


@cache
def _get_dependant() -> Dependant:
    return get_dependant(path="/", call=read_unique)


def _list_parameters(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield from _list_parameters(inner)
    yield from dependant.query_params


def _build(name: str, info: FieldInfo) -> Option:
    annotation: Any = info.annotation
    inner = [one for one in get_args(annotation) if one is not type(None)]
    is_list = get_origin(annotation) is list
    words: list[Any] = [] if is_list else inner
    if len(words) == 1 and not isinstance(words[0], str):
        words = list(get_args(words[0]))
    choices = [word for word in words if isinstance(word, str)]
    kind = "box" if annotation is bool else "choice" if choices else "line"
    return Option(name, kind, _plain(info), choices, is_list, HINTS.get(name, ""))


def _plain(info: FieldInfo) -> str:
    return (info.description or "").replace("`", "")
