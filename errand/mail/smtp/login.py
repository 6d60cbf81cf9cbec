"""What comes before the first mail of a connection: EHLO, STARTTLS (RFC 3207), AUTH (RFC 4954).

Whatever goes wrong here would go wrong for every mail, so all of it is a ServiceDownError.
"""

import hmac
import smtplib
import ssl
from base64 import b64decode, b64encode
from binascii import Error as NoBase64Error
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from errand.contract.errors import ServiceDownError
from errand.mail.smtp.codes import Meaning, Reply, SmtpStep, judge, show
from errand.mail.smtp.server_url import Server

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")  # the first that is offered; TLS keeps what they send
# The server doesn't take this mechanism; wrong credentials (535) would be wrong with each.
OTHER_WAY = (500, 501, 502, 504, 534, 538)
LINE_LIMIT = 512  # RFC 5321, section 4.5.3.1.4


def open_session(smtp: smtplib.SMTP, server: Server) -> None:
    """Greet, encrypt and log in as `server` says. Raises ServiceDownError."""
    _greet(smtp, server)
    if server.encryption in ("offered", "required"):
        _start_tls(smtp, server)
    if server.password and not _keeps_secrets(smtp, server):
        raise ServiceDownError(
            f"STARTTLS at {server.place}: the server does not offer it, and SMTP_URL has a password, which is not sent "
            "in clear; ?tls=none in SMTP_URL sends it all the same"
        )
    if server.user is not None:
        _log_in(smtp, server)


@contextmanager
def down(step: str, server: Server) -> Iterator[None]:
    """Turn what smtplib and the network raise into a ServiceDownError that names the step and the server."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
        step = SmtpStep.GREETING if isinstance(error, smtplib.SMTPConnectError) else step
        raise ServiceDownError(f"{step} at {server.place}: {show((error.smtp_code, text))}") from None
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors; a host that can't be one is a UnicodeError
        raise ServiceDownError(f"{step} at {server.place}: {error or type(error).__name__}") from error


def _greet(smtp: smtplib.SMTP, server: Server) -> None:
    with down(SmtpStep.EHLO, server):
        reply = smtp.ehlo()
        if 500 <= reply[0] < 600:  # a server from before ESMTP
            reply = smtp.helo()
        _demand(SmtpStep.EHLO, reply, server)


def _start_tls(smtp: smtplib.SMTP, server: Server) -> None:
    """Encrypt where it is offered."""
    if not smtp.has_extn("starttls"):
        if server.encryption == "required":
            raise ServiceDownError(f"STARTTLS at {server.place}: SMTP_URL requires it and the server does not offer it")
        return
    context = ssl.create_default_context()
    if not server.checks_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with down(SmtpStep.STARTTLS, server):
        smtp.starttls(context=context)
    with down(SmtpStep.EHLO, server):
        _demand(SmtpStep.EHLO, smtp.ehlo(), server)


def _keeps_secrets(smtp: smtplib.SMTP, server: Server) -> bool:
    """Return whether nobody on the way can read along (TLS, or this machine), or SMTP_URL says that it may be so."""
    if server.encryption == "none" or isinstance(smtp.sock, ssl.SSLSocket):
        return True
    with down(SmtpStep.STARTTLS, server):
        assert smtp.sock is not None
        return ip_address(smtp.sock.getpeername()[0].partition("%")[0]).is_loopback


def _log_in(smtp: smtplib.SMTP, server: Server) -> None:
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    mechanisms = [mechanism for mechanism in MECHANISMS if mechanism in offered]
    if not mechanisms:
        said = f"it offers {', '.join(offered)[:100]}" if offered else "it offers none"
        raise ServiceDownError(
            f"AUTH at {server.place}: SMTP_URL has a user name, and the server offers no login with "
            f"{', '.join(MECHANISMS)} ({said})"
        )
    for mechanism in mechanisms:
        with down(SmtpStep.AUTH, server):
            reply, secrets = _try(smtp, server, mechanism)
        if reply[0] not in OTHER_WAY:
            break
    _demand(SmtpStep.AUTH, (reply[0], _hide(reply[1], [*secrets, server.password.encode()])), server, 235)


def _try(smtp: smtplib.SMTP, server: Server, mechanism: str) -> tuple[Reply, list[bytes]]:
    """Return the reply to a login, and what was sent for it, which no error may show."""
    user, password = (server.user or "").encode(), server.password.encode()
    if mechanism == "PLAIN":
        answers = [b"\0" + user + b"\0" + password]
    elif mechanism == "LOGIN":
        answers = [user, password]
    else:
        answers = []
    sent = [b64encode(answer) for answer in answers]
    if mechanism == "PLAIN" and len(sent[0]) < LINE_LIMIT - len("AUTH PLAIN \r\n"):
        return smtp.docmd("AUTH", f"PLAIN {sent[0].decode()}"), sent
    reply = smtp.docmd("AUTH", mechanism)
    if mechanism == "CRAM-MD5" and reply[0] == 334:
        sent = [b64encode(_answer(reply[1], user, password))]
    for answer in sent:
        if reply[0] != 334:
            break
        reply = smtp.docmd(answer.decode())
    return reply, sent


def _answer(challenge: bytes, user: bytes, password: bytes) -> bytes:
    """Return the answer to a challenge of CRAM-MD5 (RFC 2195). Raises OSError for one that is no base64."""
    try:
        asked = b64decode(challenge)
    except NoBase64Error:
        raise OSError("the challenge of CRAM-MD5 is no base64") from None
    return user + b" " + hmac.new(password, asked, "md5").hexdigest().encode()


def _hide(text: bytes, secrets: list[bytes]) -> bytes:
    """Return a reply's text without the secrets that a server may repeat in it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, b"***")
    return text


def _demand(step: SmtpStep, reply: Reply, server: Server, code: int | None = None) -> None:
    if judge(step, reply) is not Meaning.YES or (code is not None and reply[0] != code):
        raise ServiceDownError(f"{step} at {server.place}: {show(reply)}")
