"""How header fields are written: encoded words, phrases, parameters; read back by decoders written without them."""

import random
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errand.mail.format.addresses import Mailbox
from errand.mail.format.headers import write_mailboxes, write_parameters, write_plain, write_text
from tests.mail.decoding import decode_parameter, decode_phrase, decode_words, unfold
from tests.mail.scripts import ALPHABETS, write_random

SUBJECT = "Ваш заказ № 10482 оплачен и передан в службу доставки"


def read_mail(*fields: str) -> EmailMessage:
    """Return what Python's own reader makes of some fields."""
    found = message_from_bytes("\r\n".join([*fields, "", ""]).encode(), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def check_lines(field: str) -> None:
    """Assert what RFC 2047 and RFC 5322 say of a field's lines."""
    assert field.isascii()
    for line in field.split("\r\n"):
        assert line.strip()
        assert len(line) <= (76 if "=?" in line else 998)
        assert not set(line) & {"\r", "\n", "\0"}
    for word in re.findall(r"=\?utf-8\?[bq]\?[^?]*\?=", field):
        assert len(word) <= 75
        assert decode_words(word)  # a character that is split would be no UTF-8


def check_text(text: str) -> None:
    field = write_text("Subject", text)
    check_lines(field)
    assert decode_words(unfold(field)[1]) == text
    assert read_mail(field)["Subject"] == text


def check_name(name: str) -> None:
    field = write_mailboxes("To", [Mailbox(name, "a@example.com"), Mailbox(name, "b@example.com")])
    check_lines(field)
    first, second = re.fullmatch(r"(.*) <a@example.com>, (.*) <b@example.com>", unfold(field)[1], re.S).groups()
    assert decode_phrase(first) == decode_phrase(second) == name
    assert str(make_header(decode_header(first))) == name or first.startswith('"')
    if first.count("=?utf-8?") < 2:  # of several, Python 3.11 keeps the space between two, against RFC 2047, 6.2
        assert [address.display_name for address in read_mail(field)["To"].addresses] == [name, name]


def check_file_name(name: str) -> None:
    field = write_parameters("Content-Disposition", "attachment", {"filename": name})
    check_lines(field)
    assert decode_parameter(field, "filename") == name
    assert read_mail(field).get_filename() == name


def test_the_space_between_two_words_stays() -> None:
    check_text(SUBJECT)


@pytest.mark.parametrize("script", ALPHABETS)
def test_random_subjects_names_and_file_names_are_read_back_as_they_were(script: str) -> None:
    dice = random.Random(script)
    for _ in range(30):
        text = write_random(dice, script)
        check_text(text)
        check_name(text[:200].strip())
        check_file_name(text[:200].strip())


@pytest.mark.thorough
@pytest.mark.parametrize("script", ALPHABETS)
def test_thousands_of_random_headers_are_read_back_as_they_were(script: str) -> None:
    dice = random.Random(f"many {script}")
    for _ in range(850):  # twice this in each of twelve scripts
        text = write_random(dice, script, dice.choice([10, 40, 90]))
        check_text(text)
        check_name(text[:200].strip())


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=120))
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    field = write_text("Subject", text)
    check_lines(field)
    assert decode_words(unfold(field)[1]) == text


@pytest.mark.parametrize("text", ["Hello", "What is 2+2? Four", "a " * 200 + "b", "x" * 900, "a  b   c"])
def test_ascii_stays_as_it_is(text: str) -> None:
    field = write_text("Subject", text)
    assert "=?" not in field
    assert unfold(field)[1] == text


def test_long_ascii_is_folded_at_spaces() -> None:
    lines = write_text("Subject", "word " * 60 + "end").split("\r\n")
    assert max(map(len, lines)) <= 76
    assert len(lines) == 5


def test_what_looks_like_an_encoded_word_is_read_as_it_was_written() -> None:
    text = "=?utf-8?q?Hello?= is an encoded word"
    assert decode_words(unfold(write_text("Subject", text))[1]) == text
    assert read_mail(write_text("Subject", text))["Subject"] == text


@pytest.mark.parametrize("text", [" x", "x ", "  "])
def test_spaces_at_the_ends_arrive(text: str) -> None:
    field = write_text("Subject", text)
    assert decode_words(unfold(field)[1]) == text


def test_a_long_name_of_a_field_leaves_the_value_its_own_line() -> None:
    name = "X-" + "Long-" * 11 + "Name"
    field = write_text(name, SUBJECT)
    check_lines(field)
    assert decode_words(unfold(field)[1]) == SUBJECT


@pytest.mark.parametrize("mark", ["\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\ud800"])
def test_a_control_character_is_written_nowhere(mark: str) -> None:
    value = f"a{mark}b"
    with pytest.raises(ValueError, match="X-Y holds a line break or another control character"):
        write_text("X-Y", value)
    with pytest.raises(ValueError, match="X-Y holds"):
        write_plain("X-Y", value)
    with pytest.raises(ValueError, match="X-Y holds"):
        write_mailboxes("X-Y", [Mailbox(value, "a@example.com")])
    with pytest.raises(ValueError, match="X-Y holds"):
        write_parameters("X-Y", "attachment", {"filename": value})


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "a@example.com"),
        ("Ada Lovelace", "Ada Lovelace <a@example.com>"),
        ("Support @ Acme", '"Support @ Acme" <a@example.com>'),
        ("Acme, Inc.", '"Acme, Inc." <a@example.com>'),
        ('Ada "Countess" \\ L', '"Ada \\"Countess\\" \\\\ L" <a@example.com>'),
        ("Ada  Lovelace", '"Ada  Lovelace" <a@example.com>'),
        ("Jürgen", "=?utf-8?q?J=C3=BCrgen?= <a@example.com>"),
        ("東京", "=?utf-8?b?5p2x5Lqs?= <a@example.com>"),
    ],
)
def test_a_name_is_plain_quoted_or_encoded(name: str, written: str) -> None:
    assert write_mailboxes("From", [Mailbox(name, "a@example.com")]) == f"From: {written}"


def test_fifty_recipients_are_folded() -> None:
    field = write_mailboxes("To", [Mailbox("Ада Лавлейс", f"user{number}@example.com") for number in range(50)])
    check_lines(field)
    assert len(read_mail(field)["To"].addresses) == 50


def test_an_address_beyond_ascii_is_written_as_it_is_or_as_the_name_of_a_group() -> None:
    mailboxes = [Mailbox("", "jürgen@bücher.example"), Mailbox("", "a@example.com")]
    assert write_mailboxes("To", mailboxes) == "To: jürgen@bücher.example, a@example.com"
    field = write_mailboxes("To", mailboxes, smtputf8=False)
    assert field.isascii()
    assert [address.addr_spec for address in read_mail(field)["To"].addresses] == ["a@example.com"]
    assert decode_words(unfold(field)[1]) == "jürgen@bücher.example :;, a@example.com"


@pytest.mark.parametrize(
    "name", ["report 1.pdf", 'a "b" \\ c.txt', "Rechnung März.pdf", "счёт " * 30 + ".pdf", "請求書.pdf"]
)
def test_a_file_name_is_read_back_as_it_was(name: str) -> None:
    check_file_name(name)


def test_a_value_with_a_syntax_of_its_own_is_folded_at_spaces_and_never_encoded() -> None:
    urls = ", ".join(f"<https://example.com/unsubscribe?a=?{number}{'x' * 80}>" for number in range(3))
    field = write_plain("List-Unsubscribe", urls)
    assert unfold(field)[1] == urls
    with pytest.raises(ValueError, match="List-Id holds more than ASCII"):
        write_plain("List-Id", "Новости <news.example.com>")
