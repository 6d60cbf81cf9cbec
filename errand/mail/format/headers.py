"""Writing header fields: encoded, quoted and folded here, so that every version of Python writes the same.

Python's own folding drops or doubles the space between two encoded words (cpython#92081), so none of it is used.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote

from errand.mail.format.addresses import Mailbox

LINE_LENGTH = 76  # RFC 2047, section 2: of a line that has encoded words
WORD_LENGTH = 75  # and of one such word
LINE_LIMIT = 998  # RFC 5322, section 2.1.1
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Characters that Q never has to encode, in a phrase either (RFC 2047, section 5, rule 3).
_PLAIN_IN_Q = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q = [chr(byte) if byte in _PLAIN_IN_Q else "_" if byte == 0x20 else f"={byte:02X}" for byte in range(256)]
_FRAME = len("=?utf-8?q??=")
_SHORTEST = _FRAME + 12  # room for any one character: four bytes in Q
_BESIDE = 66  # the longest first word of a name: it may stand beside «Reply-To:»
_QUOTED_LENGTH = 70  # the longest quoted name: it can't be folded everywhere, so a longer one is encoded


def write_text(name: str, value: str) -> str:
    """Return the field of a text (RFC 5322, «unstructured»): plain where it is ASCII, else in encoded words.

    Raises ValueError for line breaks and other control characters.
    """
    _check(name, value)
    if value.isascii() and "=?" not in value and value == value.strip():
        lines = fold(name, value)
        if all(len(line) <= LINE_LIMIT for line in lines.split("\r\n")):
            return lines
    return _join(name, encode_words(value, LINE_LENGTH - len(name) - 2))


def write_plain(name: str, value: str) -> str:
    """Return the field of a value with a syntax of its own, ASCII only. Raises ValueError for anything else."""
    _check(name, value)
    lines = fold(name, value)
    if not value.isascii() or any(len(line) > LINE_LIMIT for line in lines.split("\r\n")):
        raise ValueError(f"{name} holds more than ASCII, or a word that is too long for a line")
    return lines


def write_mailboxes(name: str, mailboxes: Sequence[Mailbox], smtputf8: bool = True) -> str:
    """Return the field of addresses (RFC 5322, section 3.4), each name as a phrase.

    Without `smtputf8` an address beyond ASCII is written as the name of an empty group (RFC 6857, section 3.1.9).
    """
    lines, line = [], f"{name}:"
    for number, mailbox in enumerate(mailboxes, 1):
        _check(name, mailbox.display_name + mailbox.addr_spec)
        for piece in _list_pieces(mailbox, smtputf8, "," if number < len(mailboxes) else ""):
            if len(line) + 1 + len(piece) > LINE_LENGTH and line not in ("", f"{name}:"):
                lines.append(line)
                line = ""
            line += f" {piece}"
    return "\r\n".join([*lines, line])


def write_parameters(name: str, value: str, parameters: dict[str, str]) -> str:
    """Return a field with parameters, each on a line of its own; beyond ASCII as RFC 2231 has them."""
    pieces = [f"{name}: {value}"]
    for key, text in parameters.items():
        _check(name, text)
        pieces += [f" {piece}" for piece in _list_parameter(key, text)]
    return ";\r\n".join(pieces)


def fold(name: str, value: str) -> str:
    """Return a field of ASCII, folded before spaces where its lines would be longer than 76."""
    line, lines = f"{name}:", []
    if len(name) + 2 + len(value) <= LINE_LENGTH:
        return f"{name}: {value}"
    for piece in re.findall(r"\s*\S+", f" {value}"):
        if len(line) + len(piece) > LINE_LENGTH and line != f"{name}:":
            lines.append(line)
            line = ""
        line += piece
    return "\r\n".join([*lines, line])


def encode_words(text: str, first: int) -> list[str]:
    """Return a text as encoded words of UTF-8, all of it: a space between two words is inside one of them.

    `first` is the room on the first word's line; where it is too small for any character, the first word is empty, for
    a line of its own. No character is split between words (RFC 2047, section 5, rule 3).
    """
    characters = [character.encode() for character in text]
    in_q = sum(len(_Q[byte]) for character in characters for byte in character)
    is_q = in_q <= (sum(map(len, characters)) + 2) // 3 * 4
    words: list[str] = [] if first >= _SHORTEST else [""]
    held, used = bytearray(), 0
    for character in characters:
        room = (WORD_LENGTH if words else min(first, WORD_LENGTH)) - _FRAME
        size = sum(len(_Q[byte]) for byte in character) if is_q else len(character)
        if used + size > (room if is_q else room // 4 * 3):
            words.append(_write_word(held, is_q))
            held, used = bytearray(), 0
        held += character
        used += size
    return [*words, _write_word(held, is_q)]


def _write_word(text: bytes | bytearray, is_q: bool) -> str:
    coded = "".join(_Q[byte] for byte in text) if is_q else b64encode(text).decode()
    return f"=?utf-8?{'q' if is_q else 'b'}?{coded}?="


def _join(name: str, words: list[str]) -> str:
    head = f"{name}: {words[0]}" if words[0] else f"{name}:"
    return "\r\n ".join([head, *words[1:]])


def _list_pieces(mailbox: Mailbox, smtputf8: bool, ending: str) -> list[str]:
    """Return the pieces of a mailbox, to be joined by spaces, each short enough for a line where it can be."""
    if not smtputf8 and not mailbox.addr_spec.isascii():
        return [*encode_words(mailbox.display_name or mailbox.addr_spec, _BESIDE), f":;{ending}"]
    if not mailbox.display_name:
        return [mailbox.addr_spec + ending]
    return [*_list_words(mailbox.display_name), f"<{mailbox.addr_spec}>{ending}"]


def _list_words(name: str) -> list[str]:
    """Return a name as a phrase: atoms, a quoted string, or encoded words."""
    if name.isascii() and "=?" not in name:
        escaped = re.sub(r'(["\\])', r"\\\1", name)
        words = name.split(" ") if _ATOMS.fullmatch(name) else [f'"{escaped}"']
        if all(len(word) <= _QUOTED_LENGTH for word in words):
            return words
    return encode_words(name, _BESIDE)


def _list_parameter(key: str, text: str) -> list[str]:
    if text.isascii():
        escaped = re.sub(r'(["\\])', r"\\\1", text)
        return [f'{key}="{escaped}"']
    coded = [quote(character, safe="") for character in text]
    pieces, held = [], ""
    for character in coded:
        if len(held) + len(character) > LINE_LENGTH - len(key) - 16:
            pieces.append(held)
            held = ""
        held += character
    pieces.append(held)
    pieces[0] = f"utf-8''{pieces[0]}"
    if len(pieces) == 1:
        return [f"{key}*={pieces[0]}"]
    return [f"{key}*{number}*={piece}" for number, piece in enumerate(pieces)]


def _check(name: str, value: str) -> None:
    if UNSAFE.search(value):
        raise ValueError(f"{name} holds a line break or another control character")
