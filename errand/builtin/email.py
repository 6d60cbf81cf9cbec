"""Send one e-mail over `SMTP_URL`."""

from typing import Any

from errand.contract.attempt import job_id
from errand.contract.job import job
from errand.contract.progress import Progress
from errand.contract.retry import Backoff
from errand.mail.compose import compose
from errand.mail.ledger import Delivery
from errand.mail.message import Address, Message
from errand.mail.settings import MailSettings, read_mail_settings
from errand.mail.smtp_transport import find_transport
from errand.mail.transport import Envelope

__all__ = ["Address", "Message", "run"]


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
    built, message_id = compose(message, settings.sender, job_id())
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
