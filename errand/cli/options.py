"""Options in groups: a command takes a dataclass, and typer sees each of its fields as a parameter."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any


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
