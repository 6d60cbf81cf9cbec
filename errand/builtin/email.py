"""Send one e-mail over `SMTP_URL`."""

from typing import Any

from errand.builtin.fetching import fetch_attachments
from errand.contract.attempt import job_id
from errand.contract.expiry import check_expiry
from errand.contract.job import job
from errand.contract.progress import Progress
from errand.mail.compose import compose, write_message_id
from errand.mail.deliver import deliver
from errand.mail.ledger import MailLedger
from errand.mail.message import Address, Message, Text
from errand.mail.retry import read_retry, read_service
from errand.mail.settings import MailSettings, read_mail_settings
from errand.mail.size import read_mail_max_bytes
from errand.mail.smtp.transport import find_transport
from errand.mail.transport import Envelope

__all__ = ["Address", "Message", "Text", "run"]


@job(
    queue="email",
    timeout_seconds=300,
    retry=read_retry,
    service=read_service,
    settings=MailSettings,
    expires="end",
    max_bytes=read_mail_max_bytes,
    example={"to": "ada@example.com", "subject": "Hello", "text": "It works."},
)
def run(message: Message, progress: Progress = Progress()) -> dict[str, Any]:
    """Send it; return its Message-ID and what became of it for each recipient: sent, or refused with the reason."""
    settings, message = read_mail_settings(), message.to_stored()
    sender, id = settings.choose_sender(message.sender), job_id()
    recipients, message_id = message.recipients, write_message_id(sender, id)
    steps = len(recipients) + 2
    transport = find_transport(settings)
    ledger = MailLedger(message_id, recipients, settings.mail_on_unknown, transport.place)

    def report(recipient: str) -> None:
        number = recipients.index(recipient) + 1
        progress(number, steps, f"recipient {number} of {len(recipients)}")

    result = ledger.recall()
    if result is None:
        progress(0, steps, "connecting")
        whole = fetch_attachments(message, read_mail_max_bytes())
        built = compose(whole, sender, id)
        downgrade = None if built.isascii() else lambda: compose(whole, sender, id, smtputf8=False)
        envelope = Envelope(sender.addr_spec, recipients, built, downgrade)
        check_expiry()
        result = deliver(envelope, message_id, transport, ledger, report)
    progress(steps, steps, "sent")
    return result
