"""A kept mail: its head for the list, and all of it for its page."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from errand.api.console.mail.fields import Fields, decode, find_field, read_fields
from errand.api.console.mail.frame import find_links
from errand.api.console.mail.parts import is_body, list_parts, name_file, read_bytes, read_text

ADDRESSES_SHOWN = 3  # in the list; its headers have all
FIELD_LIMIT = 500  # characters of one in the list
TEXT_LIMIT = 200_000  # characters of a mail's text; the source has all of them
BYTES_LIMIT = 64 * 2**20  # the local server takes half of that
_JOB = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@")


@dataclass(frozen=True)
class Head:
    """What the list shows of a mail. `at` is when it was received, `job` the id of the job that sent it.

    `fault` says why the rest is missing, "" where nothing is.
    """

    name: str
    at: str
    size: int = 0
    sender: str = ""
    recipients: tuple[str, ...] = ()
    recipients_left: int = 0
    subject: str = ""
    job: str | None = None
    fault: str = ""


@dataclass(frozen=True)
class MailFile:
    """A part of a mail that can be downloaded."""

    number: int
    name: str
    media_type: str
    size: int
    is_inline: bool


@dataclass(frozen=True)
class Mail:
    """A mail as its page shows it."""

    head: Head
    fields: Fields = field(default_factory=list)
    text: str = ""
    text_left: int = 0
    has_html: bool = False
    links: tuple[str, ...] = ()
    files: tuple[MailFile, ...] = ()
    fault: str = ""


def read_head(path: Path) -> Head:
    """Return a mail's head; of a damaged one what there is. Raises OSError."""
    size, at = path.stat().st_size, datetime.fromtimestamp(int(path.stem) / 1e9, UTC).isoformat()
    with path.open("rb") as file:
        try:
            return _build_head(path.stem, at, size, read_fields(file))
        except OSError:
            raise
        except Exception as error:  # whatever the parser raises for damage: it costs one row
            return Head(path.stem, at, size, fault=f"This mail can't be read: {type(error).__name__}")


def _build_head(name: str, at: str, size: int, fields: Fields) -> Head:
    envelope = find_field(fields, "x-envelope-to") or find_field(fields, "to")
    recipients = [address.strip() for address in envelope.split(",")]
    found = _JOB.match(find_field(fields, "message-id"))
    return Head(
        name,
        at,
        size,
        find_field(fields, "from")[:FIELD_LIMIT],
        tuple(one[:FIELD_LIMIT] for one in recipients[:ADDRESSES_SHOWN]),
        max(0, len(recipients) - ADDRESSES_SHOWN),
        find_field(fields, "subject")[:FIELD_LIMIT],
        found[1] if found else None,
    )


def read_mail(path: Path) -> Mail:
    """Return a whole mail; of a damaged one what there is. Raises OSError."""
    head = read_head(path)
    if head.size > BYTES_LIMIT:
        return Mail(head, fault=f"This mail is too large to be shown: {head.size:,} bytes. The source has all of it.")
    try:
        return _build_mail(head, path.read_bytes())
    except OSError:
        raise
    except Exception as error:
        return Mail(head, fault=f"This mail can't be read ({type(error).__name__}). The source has all of it.")


def _build_mail(head: Head, content: bytes) -> Mail:
    bodies: dict[str, str] = {}
    files = []
    for number, part in enumerate(list_parts(content)):
        form = next((one for one in ("text/plain", "text/html") if one not in bodies and is_body(part, one)), None)
        if form:
            bodies[form] = read_text(part)
        else:
            size, is_inline = len(read_bytes(part)), bool(part["Content-ID"])
            files.append(MailFile(number, name_file(part, number), decode(part.get_content_type()), size, is_inline))
    text, html = bodies.get("text/plain", ""), bodies.get("text/html", "")
    return Mail(
        head,
        read_fields(BytesIO(content)),
        text[:TEXT_LIMIT],
        max(0, len(text) - TEXT_LIMIT),
        bool(html),
        find_links(html, text[:TEXT_LIMIT]),
        tuple(files),
    )
