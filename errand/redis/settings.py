"""Reading settings from the environment, and what a person is shown where one is missing or wrong."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from errand.redis.environment import SUFFIX, VariableError, check_once, read_file, read_variable

S = TypeVar("S", bound=BaseSettings)


class SettingsError(Exception):
    """Raised when a setting is missing or wrong; the text has the line to set."""


FAULTS = "X_FILE"  # where the source of files leaves what is wrong with them; no field's name


class FileSource(EnvSettingsSource):
    """Reads the files that variables X_FILE name, of each field whose variable is X."""

    def __call__(self) -> dict[str, Any]:
        """Return the fields' values, and what is wrong."""
        self._faults: list[str] = []
        self.env_vars = self._read_files(self.env_vars)
        values = super().__call__()
        return {**values, FAULTS: self._faults} if self._faults else values

    def _read_files(self, variables: Mapping[str, str | None]) -> dict[str, str | None]:
        given = {name: value for name, value in variables.items() if value}
        fields = self.settings_cls.model_fields.items()
        names = {info[1] for name, field in fields for info in self._extract_field_info(field, name)}
        suffix = self._apply_case_sensitive(SUFFIX)
        read: dict[str, str | None] = {}
        for name in names:
            path = given.get(name + suffix)
            if path and name + suffix not in names:  # a field of its own is no file of another one
                try:
                    shown = name if self.case_sensitive else name.upper()
                    check_once(shown, {shown: given.get(name, ""), shown + SUFFIX: path})
                    read[name] = read_file(shown, path)
                except VariableError as error:
                    self._faults.append(str(error))
        return read


class Settings(BaseSettings):
    """Settings whose errors don't repeat what was given: a job that reads them shows its error in its status.

    In the place of a variable X there may be X_FILE, the path of a file that holds the value.
    """

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files before the environment, whose variable beside a file can only be empty."""
        return init_settings, FileSource(settings_cls), env_settings, dotenv_settings, file_secret_settings

    @model_validator(mode="before")
    @classmethod
    def _raise_faults(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Report what is wrong with the files as pydantic reports what is wrong with values."""
        if faults := values.pop(FAULTS, None):
            raise ValueError("\n".join(faults))
        return values


def format_fault(fault: Exception | str) -> str:
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


def read_current(kind: type[S]) -> S:
    """Return the settings of the environment as it is now: built anew only where it has changed, for jobs ask often.

    Raises pydantic's ValidationError.
    """
    current: S = _build(kind, tuple(map(read_variable, _list_variables(kind))))
    return current


@cache
def _list_variables(kind: type[BaseSettings]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in kind.model_fields.items())


@cache
def _build(kind: type[S], values: tuple[str | None, ...]) -> S:
    return kind()


def _describe(fault: ErrorDetails, kind: type[BaseSettings], user: str) -> str:
    said = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:  # of several settings together; it names them
        return "\n".join(f"{line} ({user})" for line in said.splitlines())
    name = str(fault["loc"][0])
    if fault["type"] == "missing":
        return f"{name} is not set and {user} needs it; set {name}={_find_example(kind, name)}"
    return f"{name} is wrong ({user}): {said}"


def _find_example(kind: type[BaseSettings], name: str) -> str:
    examples = [field.examples for field in kind.model_fields.values() if field.alias == name and field.examples]
    return str(examples[0][0]) if examples else "…"
