"""A job's payload, from the command line, a file or the standard input."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from errand.cli.client.problem import WrongUsageError

FORM = "write name=text, or name:=JSON for a number, a list, true, null"

Fields = Annotated[
    list[str] | None,
    typer.Option("--field", "-f", metavar="NAME=VALUE", help="A field of the payload; NAME:=JSON if it is not text."),
]


@dataclass(frozen=True)
class PayloadOptions:
    """The payload of a job that is sent, or that a schedule stores."""

    argument: Annotated[str | None, typer.Argument(metavar="JSON|-|@FILE", help="The payload; - reads the input.")] = (
        None
    )
    fields: Fields = None


def read_payload(argument: str | None, fields: Sequence[str], many: bool = False) -> Any:
    """Return the payload of `argument` (JSON, `-`, `@file`) or of `fields`; {} without either.

    With `many` it is a batch's: a JSON array, `{"items": […]}`, or one payload a line. Raises WrongUsageError.
    """
    if argument is not None and fields:
        raise WrongUsageError("give the payload as JSON or by --field, not both")
    if many and argument is None:
        raise WrongUsageError("--batch wants the payloads: a JSON list, @file or -, an array or one payload a line")
    if argument is None:
        return read_fields(fields)
    text, source = _read_text(argument)
    return _parse_many(text, source) if many else _parse(text, source)


def read_fields(fields: Sequence[str]) -> dict[str, Any]:
    """Return the payload of `name=text` and `name:=JSON`. Raises WrongUsageError."""
    payload: dict[str, Any] = {}
    for field in fields:
        name, sign, value = field.partition("=")
        as_json = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise WrongUsageError(f"--field {field!r}: {FORM}")
        if name in payload:
            raise WrongUsageError(f"--field {name} is given twice")
        payload[name] = _parse(value, f"--field {name}") if as_json else value
    return payload


def _read_text(argument: str) -> tuple[str, str]:
    """Return the text, and what errors call its source."""
    try:
        if argument == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig"), "the standard input"
        if argument.startswith("@"):
            return Path(argument[1:]).read_text("utf-8-sig"), argument[1:]
    except OSError as error:
        raise WrongUsageError(f"{argument[1:]}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUsageError(f"{argument.removeprefix('@')}: the payload is not UTF-8 text") from None
    return argument, "the payload"


def _parse(text: str, source: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise WrongUsageError(f"{source} is not JSON: {error.msg} at {where}") from None
    except (ValueError, RecursionError) as error:
        raise WrongUsageError(f"{source} is not JSON: {error}") from None


def _parse_many(text: str, source: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].lstrip().startswith("{") and _is_json(lines[0]):
        return {"items": [_parse(line, f"{source}, number {number},") for number, line in enumerate(lines, 1)]}
    found = _parse(text, source)
    if isinstance(found, list):
        return {"items": found}
    return found if isinstance(found, dict) and found.keys() == {"items"} else {"items": [found]}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")
