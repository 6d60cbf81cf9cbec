"""Reading settings from the environment, and how a missing one is told."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)


class SettingsError(Exception):
    """Raised when a setting is missing or wrong; the text has the line to set."""


class Settings(BaseSettings):
    """Settings whose errors don't repeat what was given: a job that reads them shows its error in its status."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)


def tell(fault: Exception | str) -> str:
    """Return what a person sees where a process can't start: each line of the fault with our name in front."""
    return "\n".join(f"errand: {line}" for line in str(fault).splitlines())


def read_settings(kind: type[S], user: str) -> S:
    """Build `kind` from the environment.

    Raises SettingsError, which names `user` («jobs/email.py») and the line to set, by the field's first example.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(fault, kind, user) for fault in error.errors())) from None


def _describe(fault: ErrorDetails, kind: type[BaseSettings], user: str) -> str:
    said = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:  # of several settings together; it names them
        return f"{said} ({user})"
    name = str(fault["loc"][0])
    if fault["type"] == "missing":
        return f"{name} is not set and {user} needs it; set {name}={_find_example(kind, name)}"
    return f"{name} is wrong ({user}): {said}"


def _find_example(kind: type[BaseSettings], name: str) -> str:
    examples = [field.examples for field in kind.model_fields.values() if field.alias == name and field.examples]
    return str(examples[0][0]) if examples else "…"
