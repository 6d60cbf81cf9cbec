"""An e-mail as it is posted and stored."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from errand.mail.attachments import ATTACHMENT_LIMIT, Attachment
from errand.mail.fields import (
    MAILBOX_LIMIT,
    RECIPIENT_LIMIT,
    Address,
    Addresses,
    Body,
    Headers,
    Tag,
    check_header,
)
from errand.mail.format.addresses import split_mailbox
from errand.mail.senders import check_sender

__all__ = ["Address", "Attachment", "Message", "Tag"]


class Message(BaseModel):
    """An e-mail: `text`, `html` or both; at most 50 recipients, an address or a list of them in each field."""

    model_config = ConfigDict(extra="forbid")
    sender: Annotated[str, Field(max_length=MAILBOX_LIMIT), AfterValidator(check_sender)] | None = Field(
        None, alias="from", examples=["Acme <hello@acme.example>"]
    )
    to: Annotated[Addresses, Field(min_length=1)]
    cc: Addresses = []
    bcc: Addresses = []
    reply_to: Addresses = []
    subject: Annotated[str, Field(max_length=998), AfterValidator(check_header)]
    text: Body = None
    html: Body = None
    headers: Headers = {}
    attachments: Annotated[list[Attachment], Field(max_length=ATTACHMENT_LIMIT)] = []
    tags: Annotated[list[Tag], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if not self.text and not self.html:
            raise ValueError("give text, html or both")
        if len(self.recipients) > RECIPIENT_LIMIT:
            raise ValueError(f"{len(self.recipients)} recipients in to, cc and bcc; at most {RECIPIENT_LIMIT}")
        ids = [one.content_id for one in self.attachments if one.content_id]
        if len(ids) != len(set(ids)):
            raise ValueError("two attachments have the same content_id")
        return self

    @property
    def recipients(self) -> list[str]:
        """The addresses of all it goes to, each once."""
        return list(dict.fromkeys(split_mailbox(text).addr_spec for text in [*self.to, *self.cc, *self.bcc]))
