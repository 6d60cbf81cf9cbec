"""The fields of a form, made of a payload's JSON schema, and the values in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

PREFIX = "p."  # of the payload's fields in the form
LINE_CHARACTERS = 200  # a string that may be longer has several lines
HINTS = {
    "date-time": "2026-12-24T18:00:00+01:00",
    "date": "2026-12-24",
    "email": "name@example.com",
    "uri": "https://…",
}
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field of a payload.

    `kind` is line, text, number, boolean, choice, mixed (a string, or JSON) or json. `choices` are values by the words
    that stand for them. `default` is None where there is none.
    """

    name: str
    kind: str
    is_required: bool
    note: str = ""
    default: str | None = None
    choices: Mapping[str, Any] | None = None
    hint: str = ""

    @property
    def input(self) -> str:
        """Its name in the form."""
        return PREFIX + self.name

    def write(self, value: Any) -> str:
        """Return a value as text for the field."""
        if isinstance(value, str) and self.kind != "json" and not (self.kind == "mixed" and _is_json(value)):
            return value
        is_inner = isinstance(value, dict | list) and any(isinstance(one, dict | list) for one in _list_values(value))
        return json.dumps(value, ensure_ascii=False, indent=2 if is_inner else None)

    def read(self, text: str) -> Any:
        """Return the value that was typed. Raises ValueError for text that must be JSON and is not."""
        if self.choices and text in self.choices:
            return self.choices[text]
        if self.kind == "number":
            return _read_number(text)
        if self.kind == "json":
            return from_json(text, allow_inf_nan=False)
        return _read_mixed(text) if self.kind == "mixed" else text

    def read_or_text(self, text: str) -> Any:
        """Return the value that was typed, or the text itself where it is none."""
        try:
            return self.read(text)
        except ValueError:
            return text


def _list_values(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("[", "{", '"')


def _read_mixed(text: str) -> Any:
    try:
        return from_json(text, allow_inf_nan=False) if _is_json(text) else text
    except ValueError:
        return text


def _read_number(text: str) -> Any:
    try:
        value = from_json(text.strip(), allow_inf_nan=False)
    except ValueError:
        return text  # the API says what is wrong with it
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


@lru_cache(200)
def list_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    """Return the fields of a payload; none where its schema names none, and it is JSON as a whole."""
    schema = model.model_json_schema()
    whole = _resolve(schema, schema)
    required = set(whole.get("required", ()))
    return tuple(
        _build(name, _resolve(one, schema), schema, name in required)
        for name, one in whole.get("properties", {}).items()
    )


def _build(name: str, found: Schema, schema: Schema, is_required: bool) -> Field:
    branches = [_resolve(one, schema) for one in found.get("anyOf", found.get("oneOf", ()))] or [found]
    branches = [one for one in branches if one.get("type") != "null"] or [found]
    one = branches[0] if len(branches) == 1 else {}
    choices = _list_choices(one)
    has_text = any(branch.get("type") == "string" for branch in branches)
    kind = _choose_kind(one, choices) if one else "mixed" if has_text else "json"
    default = found.get("default")
    examples = found.get("examples") or branches[0].get("examples") or ()
    field = Field(name, kind, is_required, str(found.get("description", "")), choices=choices)
    return replace(
        field,
        default=None if default is None else field.write(default),
        hint=field.write(examples[0]) if examples else HINTS.get(one.get("format", ""), ""),
    )


def _choose_kind(found: Schema, choices: Mapping[str, Any] | None) -> str:
    if choices:
        return "boolean" if found.get("type") == "boolean" else "choice"
    if found.get("type") in ("integer", "number"):
        return "number"
    if found.get("type") != "string":
        return "json"
    is_line = "format" in found or "pattern" in found or found.get("maxLength", LINE_CHARACTERS + 1) <= LINE_CHARACTERS
    return "line" if is_line else "text"


def _list_choices(found: Schema) -> Mapping[str, Any] | None:
    values = found.get("enum") or ([found["const"]] if "const" in found else None)
    if values is None and found.get("type") == "boolean":
        values = [True, False]
    return {one if isinstance(one, str) else json.dumps(one): one for one in values} if values else None


def _resolve(found: Schema, schema: Schema) -> Schema:
    """Return a schema with what it refers to in its place, as deep as references go directly."""
    for _ in range(10):
        if "$ref" in found:
            name = str(found["$ref"]).rpartition("/")[2]
            found = {**schema.get("$defs", {}).get(name, {}), **{k: v for k, v in found.items() if k != "$ref"}}
        elif len(found.get("allOf", ())) == 1:
            found = {**found["allOf"][0], **{k: v for k, v in found.items() if k != "allOf"}}
        else:
            break
    return found


def point_at(field: Field) -> str:
    """Return the JSON pointer of a field, as the API's errors have it."""
    return "#/" + field.name.replace("~", "~0").replace("/", "~1")
