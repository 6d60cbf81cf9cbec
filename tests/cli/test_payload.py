"""A payload from the command line."""

import io
import sys
from pathlib import Path

import pytest

from errand.cli.client.problem import WrongUsageError
from errand.cli.payload import read_payload


def give_input(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_it_is_the_json_of_the_argument() -> None:
    assert read_payload('{"text": "Hello"}', []) == {"text": "Hello"}


def test_without_any_it_is_empty() -> None:
    assert read_payload(None, []) == {}


def test_a_minus_reads_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    give_input(monkeypatch, b'\xef\xbb\xbf{"text": "\xc3\xa4"}')
    assert read_payload("-", []) == {"text": "ä"}


def test_an_at_sign_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text": "Hello"}')
    assert read_payload(f"@{tmp_path}/a.json", []) == {"text": "Hello"}


def test_fields_are_text_or_json() -> None:
    fields = ["text=a=b", "count:=3", "to:=[1, null]", "empty="]
    assert read_payload(None, fields) == {"text": "a=b", "count": 3, "to": [1, None], "empty": ""}


@pytest.mark.parametrize(
    ("argument", "fields", "said"),
    [
        ("{}", ["a=1"], "give the payload as JSON or by --field, not both"),
        (None, ["a"], "--field 'a': write name=text"),
        (None, ["=a"], "--field '=a': write name=text"),
        (None, ["a=1", "a=2"], "--field a is given twice"),
        (None, ["a:=x"], "--field a is not JSON"),
        ("{", [], "the payload is not JSON: .* at line 1, column 2"),
        ('{"a": NaN}', [], "the payload is not JSON: NaN is not a number in JSON"),
        ("[" * 100_000, [], "the payload is not JSON"),
        ("@no/such.json", [], "no/such.json: No such file or directory"),
    ],
)
def test_what_is_no_payload_is_refused(argument: str | None, fields: list[str], said: str) -> None:
    with pytest.raises(WrongUsageError, match=said):
        read_payload(argument, fields)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(WrongUsageError, match="not UTF-8"):
        read_payload(f"@{tmp_path}/a", [])


@pytest.mark.parametrize(
    "text",
    ['[{"a": 1}, {"a": 2}]', '{"items": [{"a": 1}, {"a": 2}]}', '{"a": 1}\n\n{"a": 2}\n', '[\n{"a": 1},\n{"a": 2}\n]'],
)
def test_a_batch_is_a_list_an_items_object_or_lines(text: str) -> None:
    assert read_payload(text, [], many=True) == {"items": [{"a": 1}, {"a": 2}]}


def test_one_payload_is_a_batch_of_one_in_whatever_lines_it_stands() -> None:
    assert read_payload('{\n"a": 1\n}', [], many=True) == {"items": [{"a": 1}]}


def test_a_bad_line_of_a_batch_is_named() -> None:
    with pytest.raises(WrongUsageError, match="the payload, number 2, is not JSON"):
        read_payload('{"a": 1}\n{"a": }', [], many=True)
