"""Mail over SMTP, over connections that the process keeps."""

from collections.abc import Callable

from errand.mail.settings import MailSettings
from errand.mail.smtp.conversation import Conversation
from errand.mail.smtp.pool import find_pool
from errand.mail.smtp.server_url import read_server
from errand.mail.transport import Envelope, Ledger, MailTransport, Outcome, Outcomes, RefusedError

NO_UTF8 = "the mail server does not offer SMTPUTF8, which an address beyond ASCII needs (RFC 6531)"


class SmtpTransport:
    """Sends to the server at `url`, over `connections` at most at once."""

    def __init__(self, url: str, connections: int) -> None:
        self.place = read_server(url).place
        self._pool = find_pool(url, connections)

    def send(self, envelope: Envelope, ledger: Ledger, report: Callable[[str], None]) -> Outcomes:
        """Send a message in one transaction; return what became of it for each recipient that it had room for.

        Raises ServiceDownError, DeliveryError and RefusedError.
        """
        return self._pool.use(lambda conversation: _talk(conversation, envelope, ledger, report))


def _talk(conversation: Conversation, envelope: Envelope, ledger: Ledger, report: Callable[[str], None]) -> Outcomes:
    message, recipients, refused = envelope.message, envelope.recipients, Outcomes()
    if not conversation.connection.offers("smtputf8"):
        if not envelope.sender.isascii():
            raise RefusedError(f"{envelope.sender}: {NO_UTF8}")
        refused = {each: Outcome("refused", NO_UTF8) for each in recipients if not each.isascii()}
        recipients = [each for each in recipients if each not in refused]
        if not recipients:
            return refused
        message = envelope.downgrade() if envelope.downgrade else message
    conversation.begin(envelope.sender, recipients, _list_options(conversation, envelope, message))
    for recipient in recipients:
        report(recipient)
        conversation.address(recipient)
    return refused | conversation.deliver(message, ledger)


def _list_options(conversation: Conversation, envelope: Envelope, message: bytes) -> str:
    """Return MAIL's options: what the message needs (RFC 6531, RFC 6152), and its size (RFC 1870).

    By its size the server can refuse a mail that is too large before it is sent.
    """
    offers, options = conversation.connection.offers, ""
    if offers("size"):
        options += f" SIZE={len(message)}"
    needs_utf8 = envelope.downgrade is not None or not "".join([envelope.sender, *envelope.recipients]).isascii()
    if needs_utf8 and offers("smtputf8"):
        options += " SMTPUTF8"
    if (" SMTPUTF8" in options or not message.isascii()) and offers("8bitmime"):
        options += " BODY=8BITMIME"
    return options


def find_transport(settings: MailSettings) -> MailTransport:
    """Return what takes the mail by these settings."""
    return SmtpTransport(settings.smtp_url, settings.smtp_connections)
