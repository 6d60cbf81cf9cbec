"""The e-mail job as a plain function over real sockets: what arrives."""

from email.header import decode_header, make_header
from email.message import Message as Mail
from typing import Any
from uuid import UUID

import pytest

from errand import Progress
from errand.builtin.email import Message
from jobs import email
from tests.support.job_fixtures import Perform
from tests.support.sinks import ScriptedSink


@pytest.fixture(autouse=True)
def _settings(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    monkeypatch.setenv("MAIL_FROM", "Errand <errand@example.com>")


def send(**fields: Any) -> dict[str, Any]:
    return email.run(Message(**{"to": "ada@example.com", "subject": "Hello", "text": "It works."} | fields))


def received(sink: ScriptedSink) -> Mail:
    (mail,) = sink.mails
    return mail.message


def text_of(part: Mail) -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode(str(part.get_content_charset()))


def test_a_mail_arrives_with_its_headers(sink: ScriptedSink) -> None:
    assert send()["refused"] == {}
    message = received(sink)
    assert message["From"] == "Errand <errand@example.com>"
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Hello")
    assert message["Date"]
    assert (sink.mails[0].sender, sink.mails[0].recipients) == ("errand@example.com", ["ada@example.com"])
    assert text_of(message) == "It works.\r\n"


def test_the_message_id_is_the_jobs_id_at_the_senders_domain(sink: ScriptedSink, perform: Perform) -> None:
    payload = {"to": ["ada@example.com"], "subject": "Hello", "text": "It works."}
    job = perform("email", {"message": payload})
    assert received(sink)["Message-ID"] == f"<{job.id}@example.com>"
    assert job.return_value() == {
        "message_id": f"<{job.id}@example.com>",
        "recipients": {"ada@example.com": {"status": "sent"}},
        "refused": {},
    }


def test_a_plain_call_makes_a_message_id(sink: ScriptedSink) -> None:
    id = send()["message_id"]
    assert UUID(id.removeprefix("<").removesuffix("@example.com>"))


def test_cc_and_reply_to_are_headers_and_bcc_is_none(sink: ScriptedSink) -> None:
    send(cc=["bo@example.com", "cy@example.com"], bcc="di@example.com", reply_to="help@example.com")
    message = received(sink)
    assert message["Cc"] == "bo@example.com, cy@example.com"
    assert message["Reply-To"] == "help@example.com"
    assert "di@example.com" not in message.as_string()
    names = ("ada", "bo", "cy", "di")
    assert sink.mails[0].recipients == [f"{name}@example.com" for name in names]


def test_each_recipient_gets_it_once(sink: ScriptedSink) -> None:
    send(to=["ada@example.com", "bo@example.com"], cc="ada@EXAMPLE.com", bcc=["bo@example.com", "cy@example.com"])
    assert sink.mails[0].recipients == ["ada@example.com", "bo@example.com", "cy@example.com"]


def test_text_alone_is_plain_text(sink: ScriptedSink) -> None:
    send()
    assert received(sink).get_content_type() == "text/plain"


def test_html_with_an_empty_text_is_html_alone(sink: ScriptedSink) -> None:
    send(text="", html="<p>Hi</p>")
    assert received(sink).get_content_type() == "text/html"
    assert text_of(received(sink)) == "<p>Hi</p>\r\n"


def test_text_and_html_are_alternatives_with_the_better_one_last(sink: ScriptedSink) -> None:
    send(html="<p>Hi</p>")
    message = received(sink)
    parts = message.get_payload()
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]


def test_unicode_arrives_in_subject_and_body(sink: ScriptedSink) -> None:
    subject = "Grüße aus Zürich, 東京 und 🚀 " * 5
    send(subject=subject.strip(), text="Grüße 東京 🚀")
    message = received(sink)
    assert str(make_header(decode_header(message["Subject"]))) == subject.strip()
    assert text_of(message) == "Grüße 東京 🚀\r\n"


def test_long_lines_and_lone_dots_arrive_whole(sink: ScriptedSink) -> None:
    text = "x" * 5000 + "\r\n.\r\n..\r\n.end"
    send(text=text)
    assert text_of(received(sink)) == text + "\r\n"
    raw = received(sink).as_bytes()
    assert max(map(len, raw.splitlines())) <= 998


def test_progress_reports_each_step(sink: ScriptedSink) -> None:
    seen = Progress()
    to = ["ada@example.com", "bo@example.com"]
    email.run(Message(to=to, subject="Hello", text="It works."), progress=seen)
    assert seen.reports == [
        (0, 4, "connecting"),
        (1, 4, "recipient 1 of 2"),
        (2, 4, "recipient 2 of 2"),
        (4, 4, "sent"),
    ]
