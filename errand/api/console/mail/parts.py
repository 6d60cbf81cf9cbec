"""The parts of a mail (RFC 2046), split at its boundaries in time that grows with its size, whatever is in it.

`email.parser` takes seconds for ten megabytes, and minutes for parts inside parts.
"""

import re
from collections.abc import Iterator
from email.message import Message
from itertools import islice

from errand.api.console.mail.fields import HEAD_BYTES, decode, parse_head

PARTS_LIMIT = 200  # of a mail, its texts included; later ones are neither shown nor sent
DEPTH_LIMIT = 10  # of parts inside parts; a mail with images and files has three
_HEAD_END = re.compile(rb"\n\r?\n")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\\/:*?"<>|]')


def list_parts(content: bytes) -> list[Message]:
    """Return the parts of a mail, without those that only hold others; a number in this list names one."""
    return list(islice(_walk(content, 0), PARTS_LIMIT))


def _walk(content: bytes, depth: int) -> Iterator[Message]:
    head, body = _split_head(content)
    part = parse_head(head)
    boundary = part.get_boundary() if part.get_content_maintype() == "multipart" else None
    if boundary is None or depth == DEPTH_LIMIT:
        part.set_payload(body.decode("ascii", "surrogateescape"))
        yield part
    else:
        for inner in _split(body, boundary.encode("utf-8", "surrogateescape")):
            yield from _walk(inner, depth + 1)


def _split_head(content: bytes) -> tuple[bytes, bytes]:
    if content.startswith((b"\n", b"\r\n")):
        return b"", content.split(b"\n", 1)[1]
    end = _HEAD_END.search(content, 0, HEAD_BYTES)
    return (content[: end.start() + 1], content[end.end() :]) if end else (content[:HEAD_BYTES], b"")


def _split(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Return what lies between the lines of a boundary; where the last of them is missing, to the end."""
    begun = None
    for line in re.finditer(re.escape(b"--" + boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)", body):
        if line.start() and body[line.start() - 1] != ord("\n"):
            continue
        if begun is not None:
            yield body[begun : line.start()].removesuffix(b"\n").removesuffix(b"\r")
        if line[1]:
            return
        begun = line.end()
    if begun is not None:
        yield body[begun:]


def is_body(part: Message, media_type: str) -> bool:
    """Return whether a part is the mail's text in that form, not a file."""
    is_file = part.get_content_disposition() == "attachment" or part.get_filename()
    return part.get_content_type() == media_type and not is_file


def read_bytes(part: Message) -> bytes:
    """Return what is in a part."""
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def read_text(part: Message) -> str:
    """Return a part as text."""
    content = read_bytes(part)
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def name_file(part: Message, number: int) -> str:
    """Return a name for a part as a file: short, without a path, and without characters that some systems refuse."""
    name = _UNSAFE.sub("_", decode(part.get_filename() or ""))[-100:].strip(". ")
    return name or f"part-{number}"
