"""The fields of a mail's head as text: what is encoded is decoded (RFC 2047), what is damaged stays as it is."""

import re
from base64 import b64decode
from binascii import a2b_qp
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import BinaryIO

HEAD_BYTES = 2**20  # a mail to 10,000 people has a long field
LINES_LIMIT = 20_000  # of a head; as many as fit when each is a few words
_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

Fields = list[tuple[str, str]]


def read_fields(file: BinaryIO) -> Fields:
    """Return the fields at the beginning of a mail, in their order."""
    lines, size = [], 0
    for line in islice(file, LINES_LIMIT):
        size += len(line)
        if not line.strip(b"\r\n") or size > HEAD_BYTES:
            break
        lines.append(line)
    return list_fields(parse_head(b"".join(lines)))


def parse_head(head: bytes) -> Message:
    """Return a mail, or a part of one, that has its head alone."""
    return BytesHeaderParser().parsebytes(head)


def list_fields(message: Message) -> Fields:
    """Return the fields of a mail as text, in their order."""
    return [(decode(name), decode(value)) for name, value in message.raw_items()]


def find_field(fields: Fields, name: str) -> str:
    """Return a field's text, "" where there is none."""
    return next((text for known, text in fields if known.lower() == name), "")


def decode(raw: str) -> str:
    """Return a field as text of one line. Bytes beyond ASCII, as the parser has them, are UTF-8 (RFC 6532)."""
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = _WORD.sub(_decode_word, _BETWEEN_WORDS.sub("", text))
    return _CONTROL.sub(" ", text).strip()


def _decode_word(word: re.Match[str]) -> str:
    charset, encoding, data = word.groups()
    try:
        packed = b64decode(f"{data}===") if encoding in "bB" else a2b_qp(data.encode(), header=True)
        return packed.decode(charset, "replace")
    except (LookupError, ValueError):
        return word[0]
