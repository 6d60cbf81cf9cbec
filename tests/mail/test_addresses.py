"""Addresses as people write them, in settings and in payloads."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from errand.mail.compose import compose
from errand.mail.format.addresses import FORM, Mailbox, check_address, read_mailbox, read_sender
from errand.mail.message import Message


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@example.com", "", "a@example.com"),
        ("<a@example.com>", "", "a@example.com"),
        ("Ada <a@example.com>", "Ada", "a@example.com"),
        ("Ada<a@example.com>", "Ada", "a@example.com"),
        ("Support @ Acme <support@acme.example>", "Support @ Acme", "support@acme.example"),
        ("Acme, Inc. <a@example.com>", "Acme, Inc.", "a@example.com"),
        ("Acme (Sales); Mail: [x] <a@example.com>", "Acme (Sales); Mail: [x]", "a@example.com"),
        ('"Acme, Inc." <a@example.com>', "Acme, Inc.", "a@example.com"),
        ('"Ada \\"Countess\\" \\\\ L" <a@example.com>', 'Ada "Countess" \\ L', "a@example.com"),
        ('Ada "Countess" L <a@example.com>', 'Ada "Countess" L', "a@example.com"),
        ("O'Brien & Sons <a@example.com>", "O'Brien & Sons", "a@example.com"),
        ("a@example.com <a@example.com>", "a@example.com", "a@example.com"),
        ("Bo via bo@example.com <a@example.com>", "Bo via bo@example.com", "a@example.com"),
        ("Jürgen Müller <a@example.com>", "Jürgen Müller", "a@example.com"),
        ("Ада, 東京 <a@EXAMPLE.com>", "Ада, 東京", "a@example.com"),
    ],
)
def test_what_people_write_is_read(text: str, name: str, address: str) -> None:
    assert read_mailbox(text) == read_sender(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com, b@example.com",
        "a@example.com b@example.com",
        "a@example.com;b@example.com",
        "Ada <a@example.com>, Bo <b@example.com>",
        "a@example.com, Bo <b@example.com>",
        "Ada <a@example.com>, b@example.com",
    ],
)
def test_two_addresses_are_refused_with_the_right_form(text: str) -> None:
    for read in (read_mailbox, read_sender):
        with pytest.raises(ValueError, match="there is more than one address; ") as caught:
            read(text)
        assert str(caught.value).endswith(FORM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("=?utf-8?q?J=C3=BCrgen?= <a@example.com>", "a name can't hold an encoded word"),
        ('"Ada <a@example.com>', "the quotes around the name are not closed"),
        ('"Ada" L <a@example.com>', "the quotes around the name are not closed"),
        ("Ada\n <a@example.com>", "a name can't hold line breaks"),
        ("Ada\r\nBcc: b@example.com <a@example.com>", "a name can't hold line breaks"),
        (f"{'x' * 257} <a@example.com>", "a name has at most 256 characters"),
    ],
)
def test_a_name_that_can_not_be_one_is_refused(text: str, said: str) -> None:
    for read in (read_mailbox, read_sender):
        with pytest.raises(ValueError, match=said):
            read(text)


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=60))
def test_a_mailbox_is_written_so_that_it_is_read_again(name: str) -> None:
    mailbox = Mailbox(name.strip(" "), "a@example.com")
    if "=?" not in name:
        assert read_mailbox(str(mailbox)) == mailbox


@pytest.mark.parametrize(
    "address",
    ["root@localhost", "ada@printer.local", "ada@shop.test", "ada@intern", "a@10.0.0.7", "Root.x@b.invalid"],
)
def test_whether_a_domain_takes_mail_is_the_servers_business(address: str) -> None:
    assert check_address(address) == address


def test_an_address_beyond_ascii_is_taken_and_written_for_a_server_with_smtputf8() -> None:
    message = Message(to="Jürgen <jürgen@bücher.example>", subject="s", text="t")
    assert message.recipients == ["jürgen@bücher.example"]
    raw = compose(message, Mailbox("", "e@example.com"), "id")
    assert "To: =?utf-8?q?J=C3=BCrgen?= <jürgen@bücher.example>".encode() in raw
    raw = compose(message, Mailbox("", "e@example.com"), "id", smtputf8=False)
    assert b"To: =?utf-8?q?J=C3=BCrgen?= :;" in raw


ADDRESS_LIKE = st.text("ab.-_+@x9nA", max_size=14) | st.from_regex(
    r"[a-z0-9_+.-]{1,5}@[a-z0-9.-]{1,10}\.[a-z]{1,4}", fullmatch=True
)


@given(address=ADDRESS_LIKE)
def test_addresses_are_taken_as_email_validator_takes_them(address: str) -> None:
    try:
        found = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        with pytest.raises(ValueError):
            check_address(address)
    else:
        assert check_address(address) == found.ascii_email
