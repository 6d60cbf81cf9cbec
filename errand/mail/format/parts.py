"""The parts of an e-mail's body (RFC 2045 and 2046), each encoded so that any server passes it on unchanged."""

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass

LINE_LENGTH = 76  # RFC 2045, sections 6.7 and 6.8
BOUNDARY = "=_"  # neither quoted-printable nor base64 can hold it, so that no boundary stands in a part
_LINE_END = re.compile("\r\n|\r|\n")
_ENCODED_IN_QP = bytes(byte for byte in range(256) if byte < 0x20 or byte >= 0x7F or byte == 0x3D)
_LITERAL_IN_QP = bytes(sorted(set(range(256)) - set(_ENCODED_IN_QP)))


@dataclass(frozen=True)
class Part:
    """The fields of a part's head, and its body, which ends with a line's end."""

    fields: list[str]
    content: bytes


def build_text(subtype: str, text: str) -> Part:
    """Return a text in UTF-8: as it is where its lines are short and ASCII, else by the shorter encoding."""
    data = _LINE_END.sub("\r\n", text).removesuffix("\r\n").encode() + b"\r\n"
    encoding, content = _encode(data)
    return Part([f'Content-Type: text/{subtype}; charset="utf-8"', f"Content-Transfer-Encoding: {encoding}"], content)


def build_multipart(subtype: str, parts: Sequence[Part], token: str, parameters: str = "") -> Part:
    """Return parts as one; `token` makes the boundary and differs for each multipart of a message."""
    boundary = f"{BOUNDARY}{token}"
    written = [
        f"--{boundary}\r\n".encode() + "\r\n".join([*part.fields, "", ""]).encode() + part.content for part in parts
    ]
    content = b"\r\n".join([*written, f"--{boundary}--\r\n".encode()])
    return Part([f'Content-Type: multipart/{subtype}{parameters};\r\n boundary="{boundary}"'], content)


def wrap_base64(text: str) -> bytes:
    """Return base64 in lines of 76 characters."""
    data = text.encode("ascii")
    return b"".join(data[at : at + LINE_LENGTH] + b"\r\n" for at in range(0, len(data), LINE_LENGTH))


def _encode(data: bytes) -> tuple[str, bytes]:
    """Return the name of an encoding and the text in it."""
    if data.isascii() and BOUNDARY.encode() not in data and not _has_long_line(data):
        return "7bit", data
    encoded = len(data.translate(None, _LITERAL_IN_QP)) - 2 * data.count(b"\r\n")
    if 6 * encoded <= len(data):  # each of these takes 3 bytes, where base64 takes 4 for any 3
        return "quoted-printable", b2a_qp(data, istext=True)
    return "base64", wrap_base64(b2a_base64(data, newline=False).decode())


def _has_long_line(data: bytes) -> bool:
    return any(len(line) > LINE_LENGTH for line in data.split(b"\r\n"))
