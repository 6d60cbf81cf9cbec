"""Send one e-mail over `SMTP_URL`."""

from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Annotated, Any, Self
from unicodedata import category

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from errand.contract.attempt import job_id
from errand.contract.errors import PermanentError
from errand.contract.job import job
from errand.contract.progress import Progress
from errand.contract.retry import Backoff
from errand.mail.ledger import Delivery
from errand.mail.settings import MailSettings, read_mail_settings
from errand.mail.smtp_transport import find_transport
from errand.mail.transport import Envelope

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
    decoded = str(SMTP.header_factory("Subject", value))  # as _build will: an encoded word may hide a line break
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


@job(
    queue="email",
    timeout_seconds=300,
    retry=Backoff(tries=8),
    settings=MailSettings,
    example={"to": "ada@example.com", "subject": "Hello", "text": "It works."},
)
def run(message: Message, progress: Progress = Progress()) -> dict[str, Any]:
    """Send it; return its Message-ID and, by address, the reason for each recipient that was refused for good."""
    settings = read_mail_settings()
    recipients = message.recipients
    steps = len(recipients) + 2
    built, message_id = _build(message, settings, job_id())
    delivery = Delivery(message_id, settings.mail_on_unknown)

    def report(number: int) -> None:
        progress(number, steps, f"recipient {number} of {len(recipients)}")

    result = delivery.recall()
    if result is None:
        progress(0, steps, "connecting")
        envelope = Envelope(settings.sender.addr_spec, recipients, built)
        refused = find_transport(settings).send(envelope, delivery, report)
        result = {"message_id": message_id, "refused": refused}
        delivery.finish(result)
    progress(steps, steps, "sent")
    return result


def _build(message: Message, settings: MailSettings, id: str) -> tuple[bytes, str]:
    """Return the message as it goes over the wire, and its Message-ID. Raises PermanentError for data it can't hold."""
    sender: Mailbox = settings.sender
    message_id = f"<{id}@{sender.domain}>"
    built = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    try:
        built["From"] = sender
        for header, addresses in (("To", message.to), ("Cc", message.cc), ("Reply-To", message.reply_to)):
            if addresses:
                built[header] = ", ".join(addresses)
        built["Subject"] = message.subject
        built["Date"] = localtime()
        built["Message-ID"] = message_id
        if message.text:
            built.set_content(message.text)
            if message.html:
                built.add_alternative(message.html, subtype="html")
        else:
            built.set_content(message.html, subtype="html")
        return built.as_bytes(), message_id
    except (ValueError, UnicodeError) as error:
        raise PermanentError(f"the message can't be written as an e-mail: {error}") from error
