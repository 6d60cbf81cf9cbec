"""An e-mail as it is posted and stored."""

from email.policy import SMTP
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from errand.mail.format.addresses import check_address, read_mailbox, split_mailbox
from errand.mail.format.headers import UNSAFE

RECIPIENT_LIMIT = 50
MAILBOX_LIMIT = 1_000  # characters of a name, with its quotes, and an address


def check_header(value: str) -> str:
    """Return the text of a header. Raises ValueError for line breaks, those that an encoded word hides as well."""
    shown = value + str(SMTP.header_factory("Subject", value)) if "=?" in value else value
    if UNSAFE.search(shown):
        raise ValueError("a header can't hold line breaks or other control characters")
    return value


def _check_body(value: str | None) -> str | None:
    if value and "\0" in value:
        raise ValueError("it can't hold U+0000, which no e-mail can")
    if value and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("it can't hold half of a surrogate pair, which is no character") from None
    return value


Address = Annotated[
    str, Field(max_length=320), AfterValidator(check_address), WithJsonSchema({"type": "string", "format": "email"})
]
_MAILBOX_SCHEMA = {"type": "string", "maxLength": MAILBOX_LIMIT, "examples": ["a@b.example", "Name <a@b.example>"]}
Written = Annotated[
    str,
    Field(max_length=MAILBOX_LIMIT),
    AfterValidator(lambda value: str(read_mailbox(value))),
    WithJsonSchema(_MAILBOX_SCHEMA),
]
_ONE_OR_MORE = {"anyOf": [_MAILBOX_SCHEMA, {"type": "array", "items": _MAILBOX_SCHEMA, "maxItems": RECIPIENT_LIMIT}]}
Addresses = Annotated[
    list[Written],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(max_length=RECIPIENT_LIMIT),
    WithJsonSchema(_ONE_OR_MORE),
]
Body = Annotated[str | None, AfterValidator(_check_body)]


class Message(BaseModel):
    """An e-mail: `text`, `html` or both; at most 50 recipients, an address or a list of them in each field."""

    model_config = ConfigDict(extra="forbid")
    to: Annotated[Addresses, Field(min_length=1)]
    cc: Addresses = []
    bcc: Addresses = []
    reply_to: Addresses = []
    subject: Annotated[str, Field(max_length=998), AfterValidator(check_header)]
    text: Body = None
    html: Body = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if not self.text and not self.html:
            raise ValueError("give text, html or both")
        if len(self.recipients) > RECIPIENT_LIMIT:
            raise ValueError(f"{len(self.recipients)} recipients in to, cc and bcc; at most {RECIPIENT_LIMIT}")
        return self

    @property
    def recipients(self) -> list[str]:
        """The addresses of all it goes to, each once."""
        return list(dict.fromkeys(split_mailbox(text).addr_spec for text in [*self.to, *self.cc, *self.bcc]))
