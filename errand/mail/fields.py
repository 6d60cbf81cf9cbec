"""The fields in an e-mail's head: addresses, subject, and headers of the sender's own."""

import re
from email.policy import SMTP
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from errand.mail.format.addresses import check_address, read_mailbox
from errand.mail.format.headers import UNSAFE, write_plain, write_text

RECIPIENT_LIMIT = 50  # as in Resend's API, whose names the fields have
MAILBOX_LIMIT = 1_000  # characters of a name, with its quotes, and an address
HEADER_LIMIT = 50  # far more than mails have
VALUE_LIMIT = 8_000  # characters; References of a long thread fit
ALLOWED = "X-…, List-…, In-Reply-To, References, Auto-Submitted, Feedback-ID, Precedence, Importance"
_ALLOWED = re.compile(
    r"(?i)(?:x|list)-[a-z0-9-]{1,60}|in-reply-to|references|auto-submitted|feedback-id|precedence|importance"
)
_CONTROL = "a header can't hold line breaks or other control characters"


def check_header(value: str) -> str:
    """Return the text of a header. Raises ValueError for line breaks, also for those that an encoded word hides."""
    shown = value + str(SMTP.header_factory("Subject", value)) if "=?" in value else value
    if UNSAFE.search(shown):
        raise ValueError(_CONTROL)
    return value


def check_body(value: str) -> str:
    """Return a text or html. Raises ValueError for what no e-mail can hold."""
    if "\0" in value:
        raise ValueError("it can't hold U+0000, which no e-mail can")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("it can't hold half of a surrogate pair, which is no character") from None
    return value


def write_header(name: str, value: str) -> str:
    """Return a header of the sender's own as a field; X-… holds any text, the others a syntax in ASCII."""
    return (write_text if name[:2].lower() == "x-" else write_plain)(name, value)


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) != len({name.lower() for name in headers}):
        raise ValueError("a header is given twice")
    for name, value in headers.items():
        if not _ALLOWED.fullmatch(name):
            raise ValueError(f"{name[:64]} can't be set; there may be {ALLOWED}")
        if not value.strip() or len(value) > VALUE_LIMIT:
            raise ValueError(f"{name} has no value, or more than {VALUE_LIMIT:,} characters")
        if UNSAFE.search(value):
            raise ValueError(f"{name}: {_CONTROL}")
        write_header(name, value)
    return headers


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
Text = Annotated[str, AfterValidator(check_body)]
Headers = Annotated[dict[str, str], Field(max_length=HEADER_LIMIT), AfterValidator(_check_headers)]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=256)]


class Tag(BaseModel):
    """A name and a value that are kept with the job; the mail doesn't show them."""

    model_config = ConfigDict(extra="forbid")
    name: _Word
    value: _Word
