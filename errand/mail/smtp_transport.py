"""Mail over SMTP, over connections that the process keeps."""

from collections.abc import Callable

from errand.mail.pool import find_pool
from errand.mail.settings import MailSettings
from errand.mail.smtp import Conversation
from errand.mail.transport import Envelope, Ledger, MailTransport


class SmtpTransport:
    """Sends to the server at `url`, over `connections` at most at once."""

    def __init__(self, url: str, connections: int) -> None:
        self._pool = find_pool(url, connections)

    def send(self, envelope: Envelope, ledger: Ledger, report: Callable[[int], None]) -> dict[str, str]:
        """Send a message; return the recipients that were refused for good, each with the server's reason.

        Raises DeliveryError and RefusedError.
        """

        def talk(conversation: Conversation) -> dict[str, str]:
            conversation.begin(envelope.sender, envelope.recipients)
            for number, recipient in enumerate(envelope.recipients, 1):
                report(number)
                conversation.address(recipient)
            return conversation.deliver(envelope.message, ledger)

        return self._pool.use(talk)


def find_transport(settings: MailSettings) -> MailTransport:
    """Return what the settings name."""
    return SmtpTransport(settings.smtp_url, settings.smtp_connections)
