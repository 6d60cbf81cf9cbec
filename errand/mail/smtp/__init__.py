"""Mail over SMTP: one way to send it, behind errand/mail/transport.py."""
