"""An e-mail as it is posted and stored."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from errand.mail.allowed_senders import check_sender
from errand.mail.attachments import ATTACHMENT_LIMIT, Attachment
from errand.mail.fields import (
    MAILBOX_LIMIT,
    RECIPIENT_LIMIT,
    Address,
    Addresses,
    Headers,
    Tag,
    Text,
    check_body,
    check_header,
)
from errand.mail.format.addresses import split_mailbox
from errand.mail.format.headers import UNSAFE
from errand.mail.templates import FILES, FOLDER, Rendered, list_templates

__all__ = ["Address", "Attachment", "Message", "Tag", "TemplateUse", "Text"]

SUBJECT_LIMIT = 998  # a line's, in RFC 5322, section 2.1.1; longer ones are no subjects


class _Variables(dict[str, Any]):
    """A template's variables, with what it rendered with them."""

    rendered: Rendered


def _find_template(id: str) -> str:
    if id not in (known := list_templates()):
        there = f"there are {', '.join(known)}" if known else f"there is none in {FOLDER}/"
        raise ValueError(f"there is no template {id[:64]!r}; {there}")
    return id


def _render(variables: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Return the variables with what the template rendered, so that what is stored later is what was checked."""
    used = _Variables(variables)
    if "id" in info.data:
        used.rendered = list_templates()[info.data["id"]].render(variables)
        check_body(used.rendered.html or "")
        check_body(used.rendered.text or "")
        subject = used.rendered.subject or ""
        if UNSAFE.search(subject) or len(subject) > SUBJECT_LIMIT:
            raise ValueError(f"the subject would hold a line break or more than {SUBJECT_LIMIT} characters")
    return used


class TemplateUse(BaseModel):
    """A template in `templates/`, rendered with `variables` when the e-mail is posted."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, AfterValidator(_find_template)]
    variables: Annotated[dict[str, JsonValue], Field(validate_default=True), AfterValidator(_render)] = {}

    @property
    def rendered(self) -> Rendered:
        """What the template rendered."""
        assert isinstance(self.variables, _Variables)
        return self.variables.rendered


def _check_subject(subject: str | None, info: ValidationInfo) -> str | None:
    """Return a subject, None where a template gives it; without either it is missing."""
    if subject is not None:
        return check_header(subject)
    template = info.data.get("template")
    if template is None and "template" in info.data:
        raise PydanticCustomError("missing", "Field required")
    if template is not None and template.rendered.subject is None:
        raise ValueError(f"template {template.id} has no {FILES['subject']}; give a subject")
    return None


Subject = Annotated[
    str | None,
    Field(
        max_length=SUBJECT_LIMIT, validate_default=True, json_schema_extra=lambda schema: schema.pop("default", None)
    ),
    AfterValidator(_check_subject),
    WithJsonSchema({"type": "string", "maxLength": SUBJECT_LIMIT}),
]


class Message(BaseModel):
    """An e-mail: `text`, `html` or both, or a `template`; at most 50 recipients, one or a list in each field."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [{"required": ["subject"]}, {"required": ["template"]}]}
    )
    template: TemplateUse | None = None
    sender: Annotated[str, Field(max_length=MAILBOX_LIMIT), AfterValidator(check_sender)] | None = Field(
        None, alias="from", examples=["Acme <hello@acme.example>"]
    )
    to: Annotated[Addresses, Field(min_length=1)]
    cc: Addresses = []
    bcc: Addresses = []
    reply_to: Addresses = []
    subject: Subject = None
    text: Text | None = None
    html: Text | None = None
    headers: Headers = {}
    attachments: Annotated[list[Attachment], Field(max_length=ATTACHMENT_LIMIT)] = []
    tags: Annotated[list[Tag], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.template and (self.text is not None or self.html is not None):
            raise ValueError("the template gives text and html; leave them out, or leave out the template")
        if not self.template and not self.text and not self.html:
            raise ValueError("give text, html or both")
        if len(self.recipients) > RECIPIENT_LIMIT:
            raise ValueError(f"{len(self.recipients)} recipients in to, cc and bcc; at most {RECIPIENT_LIMIT}")
        ids = [one.content_id for one in self.attachments if one.content_id]
        if len(ids) != len(set(ids)):
            raise ValueError("two attachments have the same content_id")
        return self

    @staticmethod
    def validates_slowly(body: bytes) -> bool:
        """Return whether a body may name a template: rendering takes milliseconds."""
        return b'"template"' in body

    def to_stored(self) -> "Message":
        """Return what is stored: a message without a template, so that a change of the template doesn't change it."""
        if "template" not in self.model_fields_set:
            return self
        rendered = self.template.rendered if self.template else Rendered(None, None, None)
        given = {"subject": self.subject or rendered.subject, "html": rendered.html, "text": rendered.text}
        stored = self.model_copy(update={name: value for name, value in given.items() if value is not None})
        stored.template = None
        stored.model_fields_set.discard("template")
        return stored

    @property
    def recipients(self) -> list[str]:
        """The addresses that it goes to, each once."""
        return list(dict.fromkeys(split_mailbox(text).addr_spec for text in [*self.to, *self.cc, *self.bcc]))
