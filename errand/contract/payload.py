"""From the signature of `run` to its payload: a pydantic model that HTTP, OpenAPI and the worker share."""

import inspect
import json
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fast_depends.dependencies import Dependant
from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json

from errand.contract.bodies import Fetch, put_together, take_apart
from errand.contract.errors import ContractError, InvalidPayloadError, NotFiniteError
from errand.contract.progress import Progress


@dataclass(frozen=True)
class Payload:
    """The payload of one job type.

    `model` validates it; `whole` names the parameter that takes the model itself, None where each field of the model
    is a parameter. `injected` and `progress` name the parameters that the worker fills in.
    """

    signature: inspect.Signature
    model: type[BaseModel]
    whole: str | None
    injected: frozenset[str]
    progress: str | None

    def bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what a call of `run` is as stored. Raises TypeError, pydantic's ValidationError and NotFiniteError."""
        given = self.signature.bind_partial(*args, **kwargs).arguments
        if wrong := sorted(given.keys() & self.injected):
            raise TypeError(f"{wrong[0]} is given by the worker; leave it out")
        value = given.get(self.whole, {}) if self.whole else given
        if isinstance(value, BaseModel):
            value = self.parse(_write(value.model_dump(mode="json", **_DUMP)))
        return self.dump(self.model.model_validate(value, **_LOAD))

    def dump(self, model: BaseModel) -> dict[str, Any]:
        """Return a validated payload as stored: JSON by parameter, without the defaults. Raises NotFiniteError.

        A model with a method `to_stored` is stored as the model which that returns.
        """
        return self.dump_measured(model)[0]

    def dump_measured(self, model: BaseModel) -> tuple[dict[str, Any], int]:
        """Return a payload as `dump` does, and how many characters its JSON has, in ASCII."""
        fields = _dump_fields(model)
        try:
            # pydantic's JsonValue lets these numbers in, and 1e999 is one of them
            size = len(_encode_finite(fields))
        except ValueError:
            raise NotFiniteError(_NOT_FINITE) from None
        return {self.whole: fields} if self.whole else fields, size

    def dump_apart(self, model: BaseModel) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Return a validated payload as stored, without what is too large, and that by its SHA-256.

        Raises NotFiniteError.
        """
        fields = _dump_fields(model)
        try:
            return take_apart({self.whole: fields} if self.whole else fields, self.whole)
        except ValueError:
            raise NotFiniteError(_NOT_FINITE) from None

    def load(self, stored: dict[str, Any], fetch: Fetch | None = None) -> dict[str, Any]:
        """Return the arguments for `run`; `fetch` reads what lies outside the job, None where nothing does.

        Raises InvalidPayloadError, which names each field that does not fit, and BodyGoneError.
        """
        text: str | bytes
        if fetch is None:
            text = _write(stored.get(self.whole) if self.whole else stored)
        else:
            text = put_together(stored, self.whole, fetch)
        try:
            model = self.parse(text)
        except ValidationError as error:
            refusal = InvalidPayloadError(f"the stored payload does not fit this job any more: {format_faults(error)}")
            refusal.is_stored = True
            raise refusal from None
        if self.whole:
            return {self.whole: model}
        return {name: getattr(model, name) for name in type(model).model_fields}

    def parse(self, text: str | bytes) -> BaseModel:
        """Return a payload from JSON, by the names of its fields or by their aliases. Raises ValidationError."""
        return self.model.model_validate_json(text, **_LOAD)


def _write(stored: Any) -> str | bytes:
    """Return JSON for `Payload.parse`: pydantic's takes a tenth to a half of the time that Python's does."""
    try:
        return to_json(stored)
    except PydanticSerializationError:  # half of a surrogate pair, or too deep: `parse` says what is wrong
        return json.dumps(stored)


def _dump_fields(model: BaseModel) -> dict[str, Any]:
    if to_stored := _find_form(type(model)):
        model = to_stored(model)
    return model.model_dump(mode="json", **_DUMP)


@cache
def _find_form(model: type[BaseModel]) -> Callable[[BaseModel], BaseModel] | None:
    """Return a model's `to_stored`, None where it has none; cached, since pydantic is slow to answer that."""
    found: Callable[[BaseModel], BaseModel] | None = getattr(model, "to_stored", None)
    return found


def format_faults(error: ValidationError) -> str:
    """Return what is wrong with a payload on one line: each field and its fault."""
    faults = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in faults)


def read_payload(function: Callable[..., Any], where: str) -> Payload:
    """Build the payload of `function`; `where` («jobs/sms.py») begins each error. Raises ContractError."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise ContractError(f"{where}: run(): {error}; import the type at the top of the file") from None
    payload: dict[str, inspect.Parameter] = {}
    injected, progress = set(), None
    for name, parameter in signature.parameters.items():
        _check_name(name, where)
        if parameter.annotation is Progress:
            progress = name
            if not isinstance(parameter.default, Progress):
                raise ContractError(
                    f"{where}: run(): parameter '{name}' has no default; write '{name}: Progress = Progress()'"
                )
        if parameter.annotation is Progress or _is_dependency(parameter):
            injected.add(name)
        else:
            _check(parameter, where)
            payload[name] = parameter
    model, whole = _build_model(payload, where)
    return Payload(signature, model, whole, frozenset(injected), progress)


def _is_dependency(parameter: inspect.Parameter) -> bool:
    marks = (parameter.default, *typing.get_args(parameter.annotation))
    return any(isinstance(mark, Dependant) for mark in marks)


def _check_name(name: str, where: str) -> None:
    if name in _RESERVED:
        raise ContractError(f"{where}: run(): parameter '{name}' has a name that fast-depends uses; rename it")


def _check(parameter: inspect.Parameter, where: str) -> None:
    name, kind = parameter.name, parameter.kind
    if kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD):
        stars = "*" if kind is kind.VAR_POSITIONAL else "**"
        raise ContractError(f"{where}: run(): '{stars}{name}' can't become a payload; name and type each parameter")
    if kind is kind.POSITIONAL_ONLY:
        raise ContractError(f"{where}: run(): parameter '{name}' is positional only; remove the '/'")
    if parameter.annotation is parameter.empty:
        raise ContractError(f"{where}: run(): parameter '{name}' has no type; annotate it")
    if name.startswith("_"):
        raise ContractError(f"{where}: run(): parameter '{name}' begins with an underscore; rename it")
    try:
        schema = TypeAdapter(parameter.annotation).json_schema()
    except Exception as error:  # pydantic raises several kinds here, and each means the same to the author
        shown = getattr(parameter.annotation, "__name__", parameter.annotation)
        raise ContractError(
            f"{where}: run(): parameter '{name}': {shown} can't be read from JSON; "
            f"use a plain or pydantic type, or give it with Depends"
        ) from error
    if '"writeOnly": true' in json.dumps(schema):  # pydantic's SecretStr and SecretBytes
        raise ContractError(
            f"{where}: run(): parameter '{name}' holds a secret, which would be stored as asterisks; "
            f"read it from settings inside run()"
        )


def _build_model(parameters: dict[str, inspect.Parameter], where: str) -> tuple[type[BaseModel], str | None]:
    title = where.rpartition("/")[2].removesuffix(".py").title().replace("_", "")
    if len(parameters) == 1:
        ((name, parameter),) = parameters.items()
        if inspect.isclass(parameter.annotation) and issubclass(parameter.annotation, BaseModel):
            return _forbid_unknown(parameter.annotation), name
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in parameters.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a parameter may be called like one of BaseModel's own attributes
        return create_model(f"{title}Payload", __config__=_CONFIG, **fields), None


_encode_finite = json.JSONEncoder(allow_nan=False).encode  # json.dumps() builds one at each such call
_NOT_FINITE = "a number is infinite or none at all (NaN), which JSON can't hold"

# What fast-depends passes beside the arguments of the function that it calls.
_RESERVED = {"stack", "nested", "cache_dependencies"}

# A payload is stored by the fields' own names, without computed fields, and read as the JSON that it is:
# what pydantic has dumped is then valid for the same model again, strict ones and those with aliases included.
_DUMP: Any = {"exclude_unset": True, "by_alias": False, "round_trip": True}
_LOAD: Any = {"by_alias": True, "by_name": True}

_CONFIG = ConfigDict(
    extra="forbid",
    allow_inf_nan=False,
    ser_json_inf_nan="constants",  # what slips through is then refused by `dump`, not turned into null
    validate_default=True,
    protected_namespaces=(),
)


def _forbid_unknown(model: type[BaseModel]) -> type[BaseModel]:
    """Return `model`, refusing unknown fields unless it says what to do with them."""
    if model.model_config.get("extra") is not None or issubclass(model, RootModel):
        return model
    return type(model.__name__, (model,), {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__})
