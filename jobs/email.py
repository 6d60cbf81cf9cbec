"""Send one e-mail over `SMTP_URL`."""

from errand.builtin import email
from errand.builtin.email import Address, Message

__all__ = ["Address", "Message", "run"]

run = email.run.adopt(__name__)
