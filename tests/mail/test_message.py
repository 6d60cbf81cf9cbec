"""The fields of an e-mail: what is accepted, what is refused and where, and what they become."""

from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import ValidationError

from errand import PermanentError
from errand.mail.message import Message
from errand.mail.settings import MailSettings
from jobs import email
from tests.mail.reading import build, outline, read_back, read_text
from tests.support.sinks import ScriptedSink


def refuse(**fields: Any) -> list[tuple[Any, str]]:
    """Return each fault's place and text."""
    with pytest.raises(ValidationError) as caught:
        build(**fields)
    return [(fault["loc"], fault["msg"].removeprefix("Value error, ")) for fault in caught.value.errors()]


def test_addresses_may_have_names_and_go_out_without_them() -> None:
    message = build(to=["Ada, Countess <ada@example.com>", "bo@example.com"], cc="Цай <cy@example.com>")
    assert message.recipients == ["ada@example.com", "bo@example.com", "cy@example.com"]
    mail = read_back(message)
    assert mail["To"] == '"Ada, Countess" <ada@example.com>, bo@example.com'
    assert mail["Cc"].addresses[0].display_name == "Цай"


def test_who_is_named_twice_gets_it_once() -> None:
    assert build(to="Ada <ada@example.com>", cc="ada@example.com").recipients == ["ada@example.com"]


def test_a_message_is_stored_so_that_it_loads_again() -> None:
    given = {"from": "Acme <a@example.com>", "to": 'Ada "C" L <ada@example.com>', "subject": "s", "html": "<p>x"}
    payload = email.run.payload
    stored = payload.dump(payload.model.model_validate(given))
    (loaded,) = payload.load(stored).values()
    assert loaded == payload.model.model_validate(given)
    assert loaded.sender == "Acme <a@example.com>"


def test_headers_of_the_senders_own_are_written() -> None:
    unsubscribe = "<https://example.com/unsubscribe?u=42>, <mailto:leave@example.com>"
    mail = read_back(
        build(headers={"X-Order": "№ 10482 — «да»", "List-Unsubscribe": unsubscribe, "references": "<a@b>"})
    )
    assert (mail["X-Order"], mail["List-Unsubscribe"], mail["References"]) == ("№ 10482 — «да»", unsubscribe, "<a@b>")


@pytest.mark.parametrize(
    "name", ["Bcc", "To", "Subject", "Content-Type", "DKIM-Signature", "X_Y", "X-A:B", "X-A\r\nBcc", ""]
)
def test_any_other_header_is_refused_by_its_name(name: str) -> None:
    ((place, text),) = refuse(headers={name: "x"})
    assert place == ("headers",)
    assert text.startswith(f"{name} can't be set; there may be X-…, List-…")


@pytest.mark.parametrize("value", ["a\nb", "a\r\nBcc: x@example.com", "a\0", "", " "])
@pytest.mark.parametrize("name", ["X-A", "References"])
def test_a_header_without_a_value_or_with_a_line_break_is_refused(name: str, value: str) -> None:
    ((_, text),) = refuse(headers={name: value})
    assert text.startswith(name)


def test_a_header_with_a_syntax_of_its_own_is_ascii() -> None:
    assert refuse(headers={"List-Id": "Новости <n.example.com>"}) == [
        (("headers",), "List-Id holds more than ASCII, or a word that is too long for a line")
    ]


def test_a_header_is_given_once() -> None:
    assert refuse(headers={"X-A": "1", "x-a": "2"}) == [(("headers",), "a header is given twice")]


def test_tags_stay_with_the_job() -> None:
    message = build(tags=[{"name": "campaign", "value": "spring_27"}])
    assert "spring_27" not in read_back(message).as_string()
    assert email.run.payload.bind(message)["message"]["tags"] == [{"name": "campaign", "value": "spring_27"}]
    assert refuse(tags=[{"name": "a b", "value": "x"}])[0][0] == ("tags", 0, "name")


def test_text_is_made_of_the_html() -> None:
    mail = read_back(build(text=None, html='<p>See <a href="https://example.com/x">the order</a>.</p>'))
    assert outline(mail) == ("multipart/alternative", ["text/plain", "text/html"])
    plain = mail.get_body(("plain",))
    assert isinstance(plain, EmailMessage)
    assert read_text(plain) == "See the order (https://example.com/x).\n"


def test_html_without_words_makes_no_text() -> None:
    assert outline(read_back(build(text=None, html='<img src="https://example.com/x.png">'))) == "text/html"


@pytest.mark.parametrize("text", ["short", "ä", "日本語" * 40, "x" * 5000, "--=_0a\n.\nFrom x", "a=" * 60, "ü " * 600])
def test_a_body_arrives_as_it_was_in_lines_of_76(text: str) -> None:
    mail = read_back(build(text=text))
    assert read_text(mail) == text + "\n"
    assert all(len(line) <= 76 for line in mail.get_payload().splitlines())


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://localhost")
    monkeypatch.setenv("MAIL_FROM", "Errand <errand@example.com>")
    monkeypatch.setenv("MAIL_SENDERS", "billing@acme.example, *@news.example")


@pytest.mark.usefixtures("senders")
@pytest.mark.parametrize("sender", ["Other <errand@example.com>", "Billing@ACME.example", "Any One <x@News.example>"])
def test_a_sender_that_is_allowed_is_taken(sender: str) -> None:
    assert build(**{"from": sender}).sender


@pytest.mark.usefixtures("senders")
@pytest.mark.parametrize("address", ["x@acme.example", "x@sub.news.example", "x@example.com"])
def test_any_other_sender_is_refused_with_what_to_set(address: str) -> None:
    domain = address.partition("@")[2]
    text = f"{address} can't be the sender: it is not MAIL_FROM's, and MAIL_SENDERS has neither it nor *@{domain}"
    assert refuse(**{"from": f"X <{address}>"}) == [(("from",), text)]


def test_where_no_sender_is_known_each_may_be_posted_and_the_worker_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_FROM", raising=False)
    monkeypatch.delenv("MAIL_SENDERS", raising=False)
    message = build(**{"from": "x@other.example"})
    settings = MailSettings(SMTP_URL="smtp://localhost", MAIL_FROM="a@example.com", MAIL_SENDERS="*@b.example")
    with pytest.raises(PermanentError, match=r"x@other\.example can't be the sender"):
        settings.choose_sender(message.sender)
    assert settings.choose_sender("X <x@b.example>").addr_spec == "x@b.example"
    assert settings.choose_sender(None).addr_spec == "a@example.com"


@pytest.mark.parametrize("senders", ["a", "*@", "a@b.example; c@d.example", "*"])
def test_senders_that_are_none_are_refused_at_the_start(senders: str) -> None:
    with pytest.raises(ValidationError, match="write addresses and \\*@domain with commas between"):
        MailSettings(SMTP_URL="smtp://localhost", MAIL_FROM="a@example.com", MAIL_SENDERS=senders)


@pytest.mark.usefixtures("senders")
def test_a_mail_goes_out_from_the_sender_that_it_names(sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", sink.url)
    result = email.run(build(**{"from": "Acme, Inc. <billing@acme.example>"}))
    assert result["message_id"].endswith("@acme.example>")
    assert sink.mails[0].sender == "billing@acme.example"
    assert sink.mails[0].message["From"] == '"Acme, Inc." <billing@acme.example>'


def test_the_python_name_of_from_is_no_field_of_a_post() -> None:
    assert refuse(sender="a@example.com")[0][0] == ("sender",)


def test_the_schema_names_fields_as_they_are_posted() -> None:
    assert {"from", "reply_to", "attachments", "headers", "tags"} <= Message.model_json_schema()["properties"].keys()
