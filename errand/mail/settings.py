"""The settings of the e-mail job: the mail server, the senders, and how many connections there may be."""

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from errand.contract.errors import PermanentError
from errand.mail.allowed_senders import describe_refusal, is_allowed, read_senders
from errand.mail.format.addresses import Mailbox, read_sender, split_mailbox
from errand.mail.retry import TRY_HOURS
from errand.mail.size import MailSize
from errand.mail.smtp.connection import Connection
from errand.mail.smtp.server_url import read_server
from errand.mail.templates import list_templates
from errand.redis.settings import read_current


class MailSettings(MailSize):
    """The mail server and the sender."""

    smtp_url: str = Field(alias="SMTP_URL", repr=False, examples=["smtp://user:password@host:587?starttls=require"])
    smtp_connections: int = Field(8, alias="SMTP_CONNECTIONS", ge=1)
    mail_from: str = Field(alias="MAIL_FROM", examples=["'Your name <you@example.com>'"])
    mail_senders: str = Field("", alias="MAIL_SENDERS", examples=["'billing@example.com, *@example.org'"])
    mail_on_unknown: Literal["send", "fail"] = Field("send", alias="MAIL_ON_UNKNOWN")
    mail_try_hours: float = Field(TRY_HOURS, alias="MAIL_TRY_HOURS", gt=0, allow_inf_nan=False)

    @field_validator("smtp_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        read_server(url)
        return url

    @field_validator("mail_from")
    @classmethod
    def _check_sender(cls, sender: str) -> str:
        read_sender(sender)
        return sender

    @field_validator("mail_senders")
    @classmethod
    def _check_senders(cls, senders: str) -> str:
        read_senders(senders)
        return senders

    @model_validator(mode="after")
    def _check_templates(self) -> Self:
        list_templates()  # a wrong template stops the start, as a broken job file does
        return self

    def choose_sender(self, given: str | None) -> Mailbox:
        """Return who an e-mail is from: `given`, or else `sender`. Raises PermanentError for one that isn't allowed."""
        if given is None:
            return self.sender
        mailbox = split_mailbox(given)
        allowed = read_senders(self.mail_senders) | {self.sender.addr_spec.lower()}
        if not is_allowed(mailbox, allowed):
            raise PermanentError(describe_refusal(mailbox))
        return mailbox

    @cached_property
    def sender(self) -> Mailbox:
        """Who a mail is from that names nobody."""
        return read_sender(self.mail_from)

    def probe(self) -> None:
        """Say hello to the server and log in, send nothing. Raises ServiceDownError."""
        Connection(self.smtp_url).quit()


def read_mail_settings() -> MailSettings:
    """Return the settings of the environment as it is now. Raises pydantic's ValidationError."""
    return read_current(MailSettings)
