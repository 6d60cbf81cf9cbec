"""The settings of mail: what is refused at the start, and with which words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from errand.mail.settings import MailSettings, read_mail_settings

URL = "smtp://localhost:2525"


def refuse(url: str = URL, sender: str = "errand@example.com") -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        MailSettings(SMTP_URL=url, MAIL_FROM=sender)
    (fault,) = caught.value.errors()
    return str(fault["loc"][0]), fault["msg"]


FORM = "write smtp://user:password@host:587?starttls=require, or smtps://… for TLS from the start"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "its scheme is none of smtp://, smtps://"),
        ("localhost:25", "its scheme is none of smtp://, smtps://"),
        ("smtp://", "it has no host"),
        ("http://localhost", "its scheme is none of smtp://, smtps://"),
        ("smtp://localhost:port", "its port is no number from 1 to 65535"),
        ("smtp://localhost:99999", "its port is no number from 1 to 65535"),
        ("smtp://[::1", "its user name, password or host holds a [ or ]"),
        ("smtp://localhost?starttls=no", "its option starttls can only be require"),
        ("smtp://localhost?startls=require", "its option number 1 is not known"),
        ("smtp://localhost?starttls=", "its option starttls can only be require"),
        ("smtp://localhost?tls=off", "its option tls can only be none"),
        ("smtp://localhost?tls=none&starttls=require", "its option tls=none contradicts"),
        ("smtps://localhost?tls=none", "its option tls=none contradicts"),
        ("smtp://localhost?ehlo=", "its option ehlo is no host name"),
        ("smtp://localhost?ehlo=a%20b", "its option ehlo is no host name"),
        ("smtp://localhost?ehlo=a%0d%0aQUIT", "its option ehlo is no host name"),
        ("smtp://ada:secr/et@localhost", "its user name or password ends too early"),
        ("smtp://ada:secr?et@localhost", "its user name or password ends too early"),
        ("smtp://ada:secr#et@localhost", "its user name or password ends too early"),
        ("smtp://ada:se%00cret@localhost", "its user name or password holds U+0000"),
        ("smtp://ada:secret@localhost/inbox", "it has a path"),
    ],
)
def test_a_bad_smtp_url_names_the_part_and_says_what_to_write(url: str, fault: str) -> None:
    name, text = refuse(url=url)
    assert name == "SMTP_URL"
    assert text.startswith(f"Value error, {fault}")
    assert text.endswith(FORM)


def test_nothing_of_a_bad_smtp_url_is_reported() -> None:
    with pytest.raises(ValidationError) as caught:
        MailSettings(SMTP_URL="smtp://ada:secr/et@localhost", MAIL_FROM="a@example.com")
    assert not any(piece in str(caught.value) for piece in ("secr", "et@", "ada"))


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "smtp://mail.example.com",
        "smtps://u:p%40@mail.example.com",
        "smtp://h:587?starttls=require",
        "smtp://h?tls=none&ehlo=app.example.com",
        "smtp://h?ehlo=[192.0.2.1]",
    ],
)
def test_a_good_smtp_url_is_taken(url: str) -> None:
    assert MailSettings(SMTP_URL=url, MAIL_FROM="a@example.com").smtp_url == url


@pytest.mark.parametrize(
    "sender", ["", "errand", "errand@", "@example.com", "a@b@c", "a b@example.com", "<>", "(", "a@bücher.de", "ü@a.de"]
)
def test_a_bad_sender_says_what_to_write(sender: str) -> None:
    assert refuse(sender=sender) == (
        "MAIL_FROM",
        "Value error, write an address: you@example.com or Name <you@example.com>",
    )


def test_two_senders_are_refused_with_the_right_form() -> None:
    _, text = refuse(sender="Ada <a@example.com>, Bo <b@example.com>")
    assert text.endswith("there is more than one address; write an address: you@example.com or Name <you@example.com>")


def test_a_senders_name_may_hold_special_characters() -> None:
    sender = MailSettings(SMTP_URL=URL, MAIL_FROM="Support @ Acme, Inc. <support@acme.example>").sender
    assert (sender.display_name, sender.addr_spec) == ("Support @ Acme, Inc.", "support@acme.example")


def test_a_sender_has_a_name_and_an_address() -> None:
    sender = MailSettings(SMTP_URL=URL, MAIL_FROM="Jürgen <j@example.com>").sender
    assert (sender.display_name, sender.addr_spec) == ("Jürgen", "j@example.com")


def test_what_to_do_about_an_unknown_delivery_is_one_of_two_words() -> None:
    assert MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com").mail_on_unknown == "send"
    with pytest.raises(ValidationError, match="'send' or 'fail'"):
        MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com", MAIL_ON_UNKNOWN="retry")


def test_mail_is_tried_for_48_hours_unless_told_otherwise() -> None:
    assert MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com").mail_try_hours == 48
    for hours in ("0", "-1", "inf", "nan", "two days"):
        with pytest.raises(ValidationError, match="MAIL_TRY_HOURS"):
            MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com", MAIL_TRY_HOURS=hours)


def test_there_are_eight_connections_unless_told_otherwise_and_at_least_one() -> None:
    assert MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com").smtp_connections == 8
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        MailSettings(SMTP_URL=URL, MAIL_FROM="a@example.com", SMTP_CONNECTIONS=0)


def test_the_settings_are_those_of_the_environment_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", URL)
    monkeypatch.setenv("MAIL_FROM", "a@example.com")
    assert read_mail_settings() is read_mail_settings()
    monkeypatch.setenv("SMTP_CONNECTIONS", "3")
    assert read_mail_settings().smtp_connections == 3


@given(
    sender=st.one_of(st.text(), st.text('@<>"(),:;[]\\ a.\r\n')),
    url=st.text("smtp:/@[]?=%#.1a ").map("smtp://{}".format),
)
@example(sender="@b", url=URL)
def test_any_setting_is_taken_or_refused_with_a_message(sender: str, url: str) -> None:
    try:
        settings = MailSettings(SMTP_URL=url, MAIL_FROM=sender)
    except ValidationError:
        return
    assert settings.sender.domain
