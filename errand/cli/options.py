"""Options that several commands have, and options in groups: a command takes a dataclass, typer sees its fields."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

JsonOut = Annotated[bool, typer.Option("--json", help="Print the API's JSON, one line per item, and nothing else.")]
TypeFilter = Annotated[str | None, typer.Option("--type", help="Of this job type.")]
QueueFilter = Annotated[str | None, typer.Option("--queue", help="In this queue.")]
BatchFilter = Annotated[str | None, typer.Option("--batch", metavar="ID", help="Of this batch.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Not before this time, or so long ago: 2h, 1d.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time, or so long ago.")]


def take_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` for typer: each parameter that is a dataclass gives way to the dataclass's fields.

    The fields are annotated as the parameters of a command are, `Annotated[str, typer.Option(…)]`, and stand in --help
    where the dataclass stood. Raises ValueError where two fields or parameters have one name.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, tuple[str, ...]]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = parameter.annotation
        if is_dataclass(group) and isinstance(group, type):
            fields = inspect.signature(group).parameters
            groups[parameter.name] = group, tuple(fields)
            parameters += fields.values()
        else:
            parameters.append(parameter)

    @wraps(command)
    def take(**given: Any) -> None:
        grouped = {
            name: group(**{field: given.pop(field) for field in fields}) for name, (group, fields) in groups.items()
        }
        command(**given, **grouped)

    # typer passes each argument by its name. Positional, one with a default could not come before one without.
    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    take.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined] # typer reads it by inspect.signature
    return take
