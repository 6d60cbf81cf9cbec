"""Send one e-mail over `SMTP_URL`."""

from errand.builtin import email
from errand.builtin.email import Address, Message, Text

__all__ = ["Address", "Message", "Text", "run"]

run = email.run.adopt(__name__)
