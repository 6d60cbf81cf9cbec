"""An e-mail as it is posted and stored."""

from email.policy import SMTP
from typing import Annotated, Self
from unicodedata import category

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

RECIPIENT_LIMIT = 50


def _check_address(value: str) -> str:
    if "=?" in value:  # the email package would decode it, and what it hides could be a line break
        raise ValueError("an address can't hold an encoded word (=?…?=)")
    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return found.ascii_email or found.normalized


def _check_header(value: str) -> str:
    decoded = str(SMTP.header_factory("Subject", value))  # as compose will: an encoded word may hide a line break
    if any(category(character) in ("Cc", "Zl", "Zp") for character in value + decoded):
        raise ValueError("a header can't hold line breaks or other control characters")
    return value


Address = Annotated[
    str, Field(max_length=320), AfterValidator(_check_address), WithJsonSchema({"type": "string", "format": "email"})
]
_ONE_OR_MORE = {
    "anyOf": [
        {"type": "string", "format": "email"},
        {"type": "array", "items": {"type": "string", "format": "email"}, "maxItems": RECIPIENT_LIMIT},
    ]
}
Addresses = Annotated[
    list[Address],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(max_length=RECIPIENT_LIMIT),
    WithJsonSchema(_ONE_OR_MORE),
]


class Message(BaseModel):
    """An e-mail: `text`, `html` or both; at most 50 recipients, an address or a list of them in each field."""

    model_config = ConfigDict(extra="forbid")
    to: Annotated[Addresses, Field(min_length=1)]
    cc: Addresses = []
    bcc: Addresses = []
    reply_to: Addresses = []
    subject: Annotated[str, Field(max_length=998), AfterValidator(_check_header)]
    text: str | None = None
    html: str | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if not self.text and not self.html:
            raise ValueError("give text, html or both")
        if len(self.recipients) > RECIPIENT_LIMIT:
            raise ValueError(f"{len(self.recipients)} recipients in to, cc and bcc; at most {RECIPIENT_LIMIT}")
        return self

    @property
    def recipients(self) -> list[str]:
        """Everyone it goes to, each once."""
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))
