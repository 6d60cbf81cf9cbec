"""What the e-mail job takes, and that nothing in it can add a header."""

from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from errand import PermanentError
from errand.mail.compose import compose
from errand.mail.message import Message
from errand.mail.settings import MailSettings
from jobs import email

SETTINGS = MailSettings(SMTP_URL="smtp://localhost", MAIL_FROM="Errand <errand@example.com>")
MODEL = email.run.payload.model
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]


def check(**fields: Any) -> Any:
    return MODEL.model_validate({"to": "ada@example.com", "subject": "Hello", "text": "It works."} | fields)


def refuse(**fields: Any) -> list[tuple[Any, str]]:
    """Return each fault's place and text."""
    with pytest.raises(ValidationError) as caught:
        check(**fields)
    return [(fault["loc"], fault["msg"].removeprefix("Value error, ")) for fault in caught.value.errors()]


def many(count: int, name: str = "user") -> list[str]:
    return [f"{name}{number}@example.com" for number in range(count)]


def test_an_address_may_be_a_plain_string_or_a_list() -> None:
    assert check(to="ada@example.com").to == check(to=["ada@example.com"]).to == ["ada@example.com"]


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "@example.com", "a da@example.com", "ada@exa mple.com", "Ada <ada@example.com"]
)
def test_what_is_no_address_is_refused_at_its_place(field: str, address: str) -> None:
    ((place, _),) = refuse(**{field: [address]})
    assert place == (field, 0)


@pytest.mark.parametrize(
    "address", ["ada@example.com\n", "ada\r\n@example.com", "ada@example.com\r\nBcc: x@example.com"]
)
def test_a_line_break_in_an_address_is_refused(address: str) -> None:
    ((place, _),) = refuse(cc=[address])
    assert place == ("cc", 0)


def test_an_encoded_word_in_an_address_is_refused() -> None:
    assert refuse(to="=?utf-8?q?a=0d=0abcc=3a?=@example.com") == [
        (("to", 0), "an address can't hold an encoded word (=?…?=)")
    ]


@pytest.mark.parametrize("mark", [*"\n\r\t\x00\x0b\x1c\x7f\x85\u2028\u2029", "\r\nBcc: x@example.com", "\r\n "])
def test_a_line_break_or_control_character_in_the_subject_is_refused(mark: str) -> None:
    assert refuse(subject=f"Hello{mark}there") == [
        (("subject",), "a header can't hold line breaks or other control characters")
    ]


@pytest.mark.parametrize(
    "hidden", ["=?utf-8?q?a=0d=0aBcc:_x@example.com?=", "x =?utf-8?b?YQ0KDQpib2R5?=", "=?ascii?q?=00?="]
)
def test_a_line_break_hidden_in_an_encoded_word_of_the_subject_is_refused(hidden: str) -> None:
    assert refuse(subject=hidden) == [(("subject",), "a header can't hold line breaks or other control characters")]


PIECES = st.sampled_from(
    ["=?", "?=", "?", "utf-8", "q", "b", "=0d", "=0A", "=", "_", "YQ0KQg==", "Bcc:", " ", ",", "<", ">", '"', "\u2028"]
)


WRITABLE = st.characters(codec="utf-8", exclude_characters="\0")


@given(subject=st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=20).map("".join))
@example(subject="=?utf-8?q?a=0d=0aBcc:_x?=")
@example(subject="What is 2+2=? Four")
@example(subject="ü" * 900)
def test_no_subject_adds_a_header(subject: str) -> None:
    try:
        message = check(subject=subject)
    except ValidationError:
        assume(False)
    raw = compose(message, SETTINGS.sender, "id")
    assert message_from_bytes(raw, policy=policy.compat32).keys() == HEADERS
    assert raw.replace(b"\r\n", b"").count(b"\n") == raw.replace(b"\r\n", b"").count(b"\r") == 0


@given(subject=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=200))
def test_any_printable_subject_arrives_as_it_was_written(subject: str) -> None:
    assume("=?" not in subject and subject == " ".join(subject.split()))
    raw = compose(check(subject=subject), SETTINGS.sender, "id")
    assert message_from_bytes(raw, policy=policy.default)["Subject"] == subject


@given(text=st.text(WRITABLE), html=st.text(WRITABLE, min_size=1))
def test_any_text_can_be_written(text: str, html: str) -> None:
    raw = compose(check(text=text, html=html), SETTINGS.sender, "id")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.isascii()


def test_50_recipients_are_taken() -> None:
    assert len(check(to=many(20, "a"), cc=many(20, "b"), bcc=many(10, "c")).recipients) == 50


def test_51_recipients_over_all_fields_are_refused() -> None:
    faults = refuse(to=many(20, "a"), cc=many(20, "b"), bcc=many(11, "c"))
    assert faults == [((), "51 recipients in to, cc and bcc; at most 50")]


def test_51_recipients_in_one_field_are_refused() -> None:
    ((place, text),) = refuse(bcc=many(51))
    assert place == ("bcc",)
    assert "at most 50 items" in text


def test_no_recipient_is_refused() -> None:
    assert refuse(to=[])[0][0] == ("to",)


@pytest.mark.parametrize("body", [{"text": None}, {"text": ""}, {"text": "", "html": ""}])
def test_a_mail_without_text_and_html_is_refused(body: dict[str, Any]) -> None:
    assert refuse(**body) == [((), "give text, html or both")]


def test_an_international_domain_is_written_in_ascii() -> None:
    assert check(to="ada@bücher.example.com").to == ["ada@xn--bcher-kva.example.com"]


def test_an_unknown_field_is_refused() -> None:
    assert refuse(body="x") == [(("body",), "Extra inputs are not permitted")]


def test_a_message_given_in_a_call_is_stored_as_posted() -> None:
    stored = email.run.payload.bind(Message(to="ada@example.com", subject="s", text="t"))
    assert stored == {"message": {"to": ["ada@example.com"], "subject": "s", "text": "t"}}


def test_what_the_email_package_cannot_write_fails_for_good() -> None:
    message = Message.model_construct(to=["a@example.com"], cc=[], reply_to=[], subject="a\nb", text="t", html=None)
    with pytest.raises(PermanentError, match="the message can't be written as an e-mail: "):
        compose(message, SETTINGS.sender, "id")


@pytest.mark.parametrize("field", ["text", "html"])
@pytest.mark.parametrize(
    ("mark", "text"),
    [
        ("\0", "it can't hold U+0000, which no e-mail can"),
        ("\ud800", "it can't hold half of a surrogate pair, which is no character"),
    ],
)
def test_what_no_mail_can_hold_is_refused(field: str, mark: str, text: str) -> None:
    assert refuse(**{field: f"a{mark}b"}) == [((field,), text)]
