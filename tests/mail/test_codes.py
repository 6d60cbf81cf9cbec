"""What a reply means at each step, as docs/mail.md says."""

import re
from pathlib import Path

import pytest

from errand.mail.smtp.codes import REASON_BYTES, TABLE, Meaning, SmtpStep, judge, show

DOCS = Path(__file__).parents[2] / "docs" / "mail.md"
COLUMNS = (Meaning.YES, Meaning.DOWN, Meaning.LATER, Meaning.REFUSED, Meaning.FULL)
ENTRIES = [(step, name, meaning) for step, entries in TABLE.items() for name, meaning in entries.items()]


def read_rows() -> set[tuple[str, str, Meaning]]:
    """Return the entries of the documentation's table."""
    found = set()
    for line in DOCS.read_text().splitlines():
        step, *cells = [cell.strip() for cell in line.strip("| ").split(" |")]
        if step in set(SmtpStep):
            for cell, meaning in zip(cells, COLUMNS, strict=False):
                for name in re.findall(r"\d(?:\d\d|xx)(?: \d\.\d\.\d| bare)?", cell):
                    found.add((step, name.replace("xx", "").replace("bare", "none"), meaning))
    return found


def test_the_documentation_has_the_same_table() -> None:
    assert read_rows() == {(str(step), name, meaning) for step, name, meaning in ENTRIES}


@pytest.mark.parametrize(("step", "name", "meaning"), ENTRIES, ids=str)
def test_each_entry_counts(step: SmtpStep, name: str, meaning: Meaning) -> None:
    code, _, status = name.partition(" ")
    words = f"{status} words".removeprefix("none ").encode()
    number = int(code.ljust(3, "5")) if len(code) == 1 else int(code)
    assert judge(step, (number, words), is_first=False) is meaning


@pytest.mark.parametrize("step", SmtpStep)
@pytest.mark.parametrize("reply", [(-1, b""), (150, b"wait"), (299, b"x"), (600, b"x"), (354, b"more")])
def test_what_is_no_answer_to_the_question_is_nonsense(step: SmtpStep, reply: tuple[int, bytes]) -> None:
    expected = TABLE[step].get(str(reply[0]), TABLE[step].get(str(reply[0])[:1]) if reply[0] == 299 else None)
    assert judge(step, reply) is (expected or Meaning.NONSENSE)


@pytest.mark.parametrize(
    ("reply", "first", "later"),
    [
        ((452, b"too many recipients"), Meaning.LATER, Meaning.FULL),
        ((452, b"4.5.3 too many recipients"), Meaning.LATER, Meaning.FULL),
        ((452, b"4.2.2 mailbox full"), Meaning.LATER, Meaning.LATER),
        ((452, b"4.3.1 disk full"), Meaning.LATER, Meaning.LATER),
        ((552, b"5.5.3 too many recipients"), Meaning.LATER, Meaning.FULL),
        ((552, b"too many recipients"), Meaning.REFUSED, Meaning.FULL),
        ((552, b"5.2.2 mailbox full"), Meaning.REFUSED, Meaning.REFUSED),
        ((552, b"4.5.3 a status of another class"), Meaning.REFUSED, Meaning.FULL),
        ((452, b"4.5.3\n4.5.3 in two lines"), Meaning.LATER, Meaning.FULL),
        ((552, b"5.5.30 another status"), Meaning.REFUSED, Meaning.REFUSED),
    ],
)
def test_too_many_recipients_are_distinguished_from_a_full_mailbox(
    reply: tuple[int, bytes], first: Meaning, later: Meaning
) -> None:
    assert (judge(SmtpStep.RCPT, reply, is_first=True), judge(SmtpStep.RCPT, reply, is_first=False)) == (first, later)


def test_a_reply_is_shown_in_one_line_of_bounded_length() -> None:
    assert show((550, b"5.1.1 no such\n5.1.1 user\x1b[31m\xff")) == "550 5.1.1 no such 5.1.1 user\ufffd[31m\ufffd"
    assert len(show((550, "€".encode() * 1000)).encode()) <= REASON_BYTES
    assert show((-1, b"")) == "an answer that is no SMTP reply"
