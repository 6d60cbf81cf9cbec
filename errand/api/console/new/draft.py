"""A new job as it stands in the form: the type's example, or what somebody has typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from errand.api.console.form import Form
from errand.api.console.formatting import write_json
from errand.api.console.new.curl import write_curl
from errand.api.console.new.fields import Field, list_fields, point_at
from errand.api.console.new.options import list_options, list_pairs
from errand.contract.job import Job

JSON = "json"  # the kind of form that has one field for the whole payload, and that field's name
Error = Mapping[str, str]


@dataclass(frozen=True)
class JobDraft:
    """What is in the fields: the payload's by name, or all of it as JSON in `text`; and the options."""

    job: Job[..., Any]
    is_json: bool
    values: Mapping[str, str]
    text: str
    options: Mapping[str, str]

    @property
    def fields(self) -> Sequence[Field]:
        """The payload's fields; none where it has no fields that are known by name."""
        return list_fields(self.job.payload.model)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query for the options."""
        return list_pairs(self.options)

    def is_plain(self, name: str) -> bool:
        """Return whether a field has plain text: an error in one of its items is then about all of it."""
        value = self.values.get(name, "")
        return any(isinstance(field.read_or_text(value), str) for field in self.fields if field.name == name)

    def write_body(self) -> tuple[str, list[Error]]:
        """Return the JSON to post, and an error for each field whose text must be JSON and is not."""
        if self.is_json:
            return self.text, []  # the API says what is wrong with it
        payload, errors = self._read_values()
        return json.dumps(payload, ensure_ascii=False), errors

    def write_curl(self) -> str:
        """Return the curl command that posts it."""
        return write_curl(self.job.type, self.pairs, self.write_body()[0])

    def as_json(self) -> "JobDraft":
        """Return it with one field for all of the payload."""
        text = self.text if self.is_json else write_json(self._read_values()[0])
        return replace(self, is_json=True, text=text)

    def as_fields(self) -> "JobDraft | None":
        """Return it with one field for each of the payload's, None where these can't hold what is in it."""
        try:
            payload = json.loads(self.text) if self.is_json else self._read_values()[0]
        except ValueError:
            return None
        names = {field.name for field in self.fields}
        if not isinstance(payload, dict) or not payload.keys() <= names:
            return None
        return replace(self, is_json=False, values=_write_values(self.fields, payload))

    def _read_values(self) -> tuple[dict[str, Any], list[Error]]:
        payload: dict[str, Any] = {}
        errors: list[Error] = []
        for field in self.fields:
            text = self.values.get(field.name, "")
            if text == "":
                continue
            try:
                payload[field.name] = field.read(text)
            except ValueError as error:
                payload[field.name] = text
                errors.append({"pointer": point_at(field), "detail": f"Invalid JSON: {error}"})
        return payload, errors


def draft_example(job: Job[..., Any], is_json: bool) -> JobDraft:
    """Return a draft with the type's example."""
    fields, example = list_fields(job.payload.model), job.example or {}
    return JobDraft(job, is_json or not fields, _write_values(fields, example), write_json(example), {})


def read_draft(job: Job[..., Any], form: Form) -> JobDraft:
    """Return the draft that a form has sent."""
    values = {field.name: _read(form, field.input) for field in list_fields(job.payload.model)}
    options = {option.name: _read(form, option.input) for option in list_options()}
    return JobDraft(job, form.get("form") == JSON or not values, values, _read(form, JSON), options)


def _read(form: Form, name: str) -> str:
    return form.get(name).replace("\r\n", "\n")


def _write_values(fields: Sequence[Field], payload: Mapping[str, Any]) -> dict[str, str]:
    return {field.name: field.write(payload[field.name]) for field in fields if field.name in payload}
