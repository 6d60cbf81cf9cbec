"""Reads the attachments that an e-mail names by URL: errand/mail knows no HTTP, and errand/webhook no mail."""

from base64 import b64encode

from errand.contract.errors import PermanentError
from errand.mail.message import Attachment, Message
from errand.webhook.fetch import UnreadError, fetch
from errand.webhook.settings import read_webhook_settings


def fetch_attachments(message: Message, limit_bytes: int) -> Message:
    """Return the message with all its files in it; `limit_bytes` is for all of them together.

    Raises PermanentError and UnreadError, which name the attachment.
    """
    if not any(file.path for file in message.attachments):
        return message
    left_bytes = limit_bytes - sum(file.size_bytes for file in message.attachments)
    files = []
    for file in message.attachments:
        if file.path:
            content = _fetch(file, file.path, left_bytes)
            left_bytes -= len(content)
            file = file.model_copy(update={"content": b64encode(content).decode(), "filename": file.name})
        files.append(file)
    return message.model_copy(update={"attachments": files})


def _fetch(file: Attachment, url: str, limit_bytes: int) -> bytes:
    try:
        return fetch(url, max(0, limit_bytes), read_webhook_settings().allow_private)
    except PermanentError as error:
        raise PermanentError(f"attachment {file.name}: {error}") from error
    except UnreadError as error:
        raise UnreadError(f"attachment {file.name}: {error}") from error
