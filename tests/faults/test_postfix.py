"""The e-mail job against Debian's Postfix in strict settings, a private instance on loopback."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from errand.builtin.email import Message
from errand.contract.errors import ServiceDownError, UnfinishedError
from errand.local.valkey import find_free_port
from errand.mail.smtp import pool as _mail_pool
from errand.mail.smtp.transport import SmtpTransport
from errand.mail.transport import DeliveryError, Envelope, Outcome, RefusedError
from jobs import email
from tests.mail.test_email_utf8 import Nowhere
from tests.support.receivers import CERTIFICATE
from tests.support.waiting import wait_until

DAEMONS = Path("/usr/lib/postfix/sbin")
OK, TEMP, GONE, OTHER = "ok@example.com", "temp@example.com", "gone@example.com", "someone@example.org"
BOXES = ("ok", "temp", "n1", "n2", "n3", "n4", "n5", "jürgen")
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/boxes
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
message_size_limit = 12582912
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtputf8_enable = yes
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_security_level = encrypt
smtpd_helo_required = yes
disable_vrfy_command = yes
strict_rfc821_envelopes = yes
strict_7bit_headers = yes
strict_8bitmime_body = yes
strict_mime_encoding_domain = yes
smtpd_reject_unlisted_sender = yes
smtpd_forbid_bare_newline = yes
smtpd_recipient_limit = 3
smtpd_error_sleep_time = 0
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
smtpd_sender_restrictions = reject_non_fqdn_sender
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_non_fqdn_recipient, reject_unauth_pipelining,
    check_recipient_access inline:{{ {{ temp@example.com = 450 4.2.0 greylisted }} }}
smtpd_data_restrictions = reject_unauth_pipelining, reject_multi_recipient_bounce
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DAEMONS / "master").exists(), reason="Postfix is not here (apt install postfix)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root alone"),
]


@dataclass
class Postfix:
    """The server, by the folder that all of it is in."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=require&ehlo=app.example.com"

    def read(self, box: str, subject: str) -> EmailMessage:
        """Wait for the one mail with a subject, and return it."""
        wait_until(lambda: self._find(box, subject))
        (found,) = self._find(box, subject)
        return found

    def _find(self, box: str, subject: str) -> list[Any]:
        mails = [path.read_bytes() for path in (self.folder / "boxes" / box / "new").glob("*")]
        read = [message_from_bytes(mail, policy=default) for mail in mails]
        return [mail for mail in read if mail["Subject"] == subject]


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    owner = pwd.getpwnam("postfix")
    folder = Path(tempfile.mkdtemp(prefix="errand-postfix-"))  # pytest's own is closed to other users
    folder.chmod(0o755)
    for name in ("queue", "data", "boxes", "conf", "log"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)
    for name in ("data", "boxes"):
        shutil.chown(folder / name, "postfix", "postfix")
    port = find_free_port()
    settings = {
        "folder": folder,
        "port": port,
        "daemons": DAEMONS,
        "uid": owner.pw_uid,
        "gid": owner.pw_gid,
        "certificate": CERTIFICATE,
        "boxes": ", ".join(f"{{ {box}@example.com = {box}/ }}" for box in BOXES),
    }
    (folder / "conf" / "main.cf").write_text(MAIN.format(**settings))
    (folder / "conf" / "master.cf").write_text(MASTER.format(**settings))
    command = ["postfix", "-c", str(folder / "conf")]
    process = subprocess.Popen([*command, "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield Postfix(folder, port)
    finally:
        for pool in _mail_pool._pools.values():
            pool._close_kept()
        subprocess.run([*command, "stop"], check=False, capture_output=True)
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0 and client.recv(3) == b"220"


@pytest.fixture(autouse=True)
def _settings(postfix: Postfix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", postfix.url)
    monkeypatch.setenv("MAIL_FROM", "Errand <ok@example.com>")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def send(subject: str, *to: str, **fields: Any) -> dict[str, Any]:
    return email.run(Message(**{"to": list(to or (OK,)), "subject": subject, "text": "It works."} | fields))


def test_a_mail_arrives_over_tls(postfix: Postfix) -> None:
    result = send("Grüße aus Zürich: Ваш заказ № 10482 оплачен и передан в службу доставки 🚀", html="<p>Hallo</p>")
    found = postfix.read("ok", "Grüße aus Zürich: Ваш заказ № 10482 оплачен и передан в службу доставки 🚀")
    assert found["Message-ID"] == result["message_id"]
    assert re.search(r"^from app\.example\.com .* with ESMTPS ", " ".join(found["Received"].split()))


def test_the_others_get_it_while_one_is_greylisted_and_one_unknown(postfix: Postfix) -> None:
    with pytest.raises(UnfinishedError) as caught:
        send("three", OK, TEMP, GONE)
    recipients = caught.value.result["recipients"]
    assert [recipients[each]["status"] for each in (OK, TEMP, GONE)] == ["sent", "gave_up", "refused"]
    assert recipients[TEMP]["reason"].startswith("450 4.2.0 ")
    assert recipients[GONE]["reason"].startswith("550 5.1.1 ")
    assert postfix.read("ok", "three")


def test_recipients_beyond_its_limit_get_it_in_further_goes(postfix: Postfix) -> None:
    result = send("five", *(f"n{number}@example.com" for number in range(1, 6)))
    assert {each["status"] for each in result["recipients"].values()} == {"sent"}
    assert all(postfix.read(f"n{number}", "five") for number in range(1, 6))


def test_what_it_refuses_is_the_mails_fault(postfix: Postfix) -> None:
    with pytest.raises(RefusedError, match=r"554 5\.7\.1 .*Relay access denied"):
        send("relay", OTHER)
    with pytest.raises(DeliveryError, match=r"450 4\.2\.0"):
        send("later", TEMP)
    with pytest.raises(RefusedError, match=r"^MAIL FROM: 552 5\.3\.4 "):
        send("large", text="x" * 75 + ("\r\n" + "x" * 75) * 170_000)


def test_a_mail_of_10_mb_with_dots_arrives_whole(postfix: Postfix) -> None:
    text = ".a line with a dot\r\n" * 490_000
    send("ten", "n1@example.com", text=text)
    content = postfix.read("n1", "ten").get_content()
    assert content.replace("\n", "\r\n") == text


def test_an_address_beyond_ascii_arrives(postfix: Postfix) -> None:
    message = b"Subject: utf8\r\nTo: ok@example.com\r\n\r\nHallo\r\n"  # strict_7bit_headers takes no other head
    envelope = Envelope("ok@example.com", ["jürgen@example.com", OK], message)
    outcomes = SmtpTransport(postfix.url, 1).send(envelope, Nowhere(), lambda recipient: None)
    assert outcomes == {"jürgen@example.com": Outcome("sent"), OK: Outcome("sent")}
    assert " with UTF8SMTPS " in " ".join(postfix.read("jürgen", "utf8")["Received"].split())


def test_that_it_wants_tls_is_the_services_fault(monkeypatch: pytest.MonkeyPatch, postfix: Postfix) -> None:
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{postfix.port}?tls=none&ehlo=app.example.com")
    with pytest.raises(ServiceDownError, match=r"^MAIL FROM at 127\.0\.0\.1:\d+: 530 5\.7\.0 Must issue a STARTTLS"):
        send("plain")


def test_a_certificate_that_nobody_vouches_for_is_the_services_fault(
    monkeypatch: pytest.MonkeyPatch, postfix: Postfix
) -> None:
    monkeypatch.setenv("SMTP_URL", f"{postfix.url}&")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ServiceDownError, match=r"^STARTTLS at .*certificate verify failed"):
        send("untrusted")


def test_mails_one_after_the_other_share_a_connection(postfix: Postfix) -> None:
    for number in range(20):
        send(f"many {number}")
    assert all(postfix.read("ok", f"many {number}") for number in range(20))
    log = (postfix.folder / "log" / "mail.log").read_text()
    assert log.count(": connect from") <= 8
