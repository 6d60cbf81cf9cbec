"""One environment variable, or the file that holds its value: `X`, or `X_FILE` with a path, as for secrets."""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

SUFFIX = "_FILE"


class VariableError(ValueError):
    """Raised for an `X_FILE` that can't be used; the text names it and its path, never what is in the file."""


def read_variable(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what a variable or its file says, and None where neither is set or the file can't be read.

    For what reads by hand what a `Settings` reads as well, which then raises for a file that can't be read.
    """
    try:
        return find_variable(name, environment)
    except VariableError:
        return None


def find_variable(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what a variable or its file says. Raises VariableError.

    An empty one counts as unset where the other is there: Compose sets those that it passes on and has nothing for.
    """
    value = environment.get(name)
    if value:
        return value
    path = environment.get(name + SUFFIX)
    return read_file(name, path) if path else value


def is_set(name: str, environment: Mapping[str, str]) -> bool:
    """Return whether a variable or its file is set."""
    return name in environment or bool(environment.get(name + SUFFIX))


def list_names(names: Iterable[str]) -> set[str]:
    """Return these names and those of their files."""
    return {spelled for name in names for spelled in (name, name + SUFFIX)}


def check_once(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a variable that is set beside its file. Raises VariableError."""
    if environment.get(name) and environment.get(name + SUFFIX):
        raise VariableError(f"{name} and {name}{SUFFIX} are both set; take one of them out")


@cache
def read_file(name: str, path: str) -> str:
    """Return a file's text without the newline at its end. Raises VariableError.

    A file is read once in a process, as the environment is: all parts of it see the same value.
    """
    try:
        return Path(path).read_bytes().decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        reason = error.strerror
    except ValueError:  # bytes that are no text, or a path that is none
        reason = "it is no file with UTF-8 text"
    raise VariableError(f"{name}{SUFFIX}={path} can't be read: {reason}")
