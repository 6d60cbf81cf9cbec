"""A decoder of RFC 2047 and RFC 2231, written from the RFCs only, to check the encoder and Python's decoder against."""

import re
from base64 import b64decode
from urllib.parse import unquote

_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=")
_GAP = re.compile(r"(?<=\?=)[ \t]+(?==\?)")


def unfold(field: str) -> tuple[str, str]:
    """Return a field's name, and its value without line ends (RFC 5322, section 2.2.3)."""
    name, _, value = re.sub(r"\r\n(?=[ \t])", "", field).partition(":")
    return name, value.removeprefix(" ")


def decode_words(value: str) -> str:
    """Return a text with its encoded words decoded; the space between two of them is left out (section 6.2)."""
    return _WORD.sub(_decode, _GAP.sub("", value))


def decode_phrase(value: str) -> str:
    """Return a display name: words, a quoted string, or encoded words."""
    if value.startswith('"'):
        assert value.endswith('"')
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return decode_words(value)


def decode_parameter(field: str, key: str) -> str:
    """Return a parameter's value, in one piece or in several (RFC 2231, sections 3 and 4)."""
    _, value = unfold(field)
    if plain := re.search(rf'{key}="((?:[^"\\]|\\.)*)"', value):
        return re.sub(r"\\(.)", r"\1", plain[1])
    pieces = {int(number or 0): text for number, text in re.findall(rf"{key}(?:\*(\d+))?\*=([^;]*)", value)}
    charset, _, text = "".join(pieces[number] for number in range(len(pieces))).split("'", 2)
    return unquote(text, charset, "strict")


def _decode(word: re.Match[str]) -> str:
    charset, encoding, text = word.groups()
    assert len(word[0]) <= 75
    if encoding in "bB":
        return b64decode(text, validate=True).decode(charset)
    return unquote(text.replace("%", "%25").replace("_", " ").replace("=", "%"), charset, "strict")
