"""Writing an e-mail as it goes over the wire (RFC 5322)."""

from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime

from errand.contract.errors import PermanentError
from errand.mail.message import Message


def compose(message: Message, sender: Mailbox, id: str) -> tuple[bytes, str]:
    """Return the message as it goes over the wire, and its Message-ID. Raises PermanentError for data it can't hold."""
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
