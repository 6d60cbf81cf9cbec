"""Writing an e-mail as it goes over the wire (RFC 5322, RFC 2045 to 2049)."""

from email.utils import formatdate
from secrets import token_hex

from errand.contract.errors import PermanentError
from errand.mail.attachments import build_attachment
from errand.mail.fields import write_header
from errand.mail.format.addresses import Mailbox, split_mailbox
from errand.mail.format.headers import write_mailboxes, write_text
from errand.mail.format.parts import Part, build_multipart, build_text
from errand.mail.format.text import write_text_of
from errand.mail.message import Message


def write_message_id(sender: Mailbox, id: str) -> str:
    """Return the Message-ID of a job's e-mail: the same at each attempt."""
    return f"<{id}@{sender.domain}>"


def compose(message: Message, sender: Mailbox, id: str, smtputf8: bool = True) -> bytes:
    """Return the message as it goes over the wire. Raises PermanentError for data that it can't hold.

    For a server without SMTPUTF8 (RFC 6531), `smtputf8=False` writes addresses beyond ASCII as mere names.
    """
    try:
        lines = [write_mailboxes("From", [sender])]
        for header, given in (("To", message.to), ("Cc", message.cc), ("Reply-To", message.reply_to)):
            if given:
                lines.append(write_mailboxes(header, [split_mailbox(text) for text in given], smtputf8))
        lines += [write_text("Subject", message.subject or ""), f"Date: {formatdate(localtime=True)}"]
        lines.append(f"Message-ID: {write_message_id(sender, id)}")
        lines += [write_header(name, value) for name, value in message.headers.items()]
        body = _build_body(message)
    except (ValueError, UnicodeError) as error:
        raise PermanentError(f"the message can't be written as an e-mail: {error}") from error
    head = "\r\n".join([*lines, *body.fields, "MIME-Version: 1.0", "", ""])
    return head.encode() + body.content


def _build_body(message: Message) -> Part:
    """Return mixed(related(alternative(text, html), inline files), files), without a level that has one part only."""
    token, html = token_hex(8), message.html
    text = write_text_of(html) if html and message.text is None else message.text  # "" asks for none
    parts = [build_text("plain", text)] if text else []
    if html:
        parts.append(build_text("html", html))
    body = parts[0] if len(parts) == 1 else build_multipart("alternative", parts, f"{token}a")
    inline = [file for file in message.attachments if file.content_id and html]
    if inline:
        kind = body.fields[0].partition(": ")[2].partition(";")[0]
        body = build_multipart("related", [body, *map(build_attachment, inline)], f"{token}r", f'; type="{kind}"')
    files = [file for file in message.attachments if not (file.content_id and html)]
    if files:
        body = build_multipart("mixed", [body, *map(build_attachment, files)], f"{token}m")
    return body
