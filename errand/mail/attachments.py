"""The attachments of an e-mail: given in base64, or by an https URL that the worker reads."""

import re
from binascii import Error, a2b_base64
from mimetypes import MimeTypes
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from errand.mail.format.headers import UNSAFE, write_parameters
from errand.mail.format.parts import Part, wrap_base64

ATTACHMENT_LIMIT = 100  # far more than mails have; how large they may be together is MAIL_MAX_BYTES
_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_TYPE = re.compile(rf'{_WORD}/{_WORD}(?:; ?{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*')
_URL = re.compile(r"https://(?:(?![/?#@])[!-~])+(?:[/?#][!-~]*)?")
_TYPES = MimeTypes()  # Python's own list: the system's differs between machines
_UNKNOWN = "application/octet-stream"


def _check_name(name: str) -> str:
    if UNSAFE.search(name) or re.search(r"[/\\]", name) or not name.strip():
        raise ValueError("write a file's name, without / \\ and control characters")
    return name


def _check_type(kind: str) -> str:
    if not _TYPE.fullmatch(kind):
        raise ValueError("write a media type: application/pdf, or text/calendar; method=REQUEST")
    if kind.lower().startswith(("multipart/", "message/")):
        raise ValueError(f"{kind.partition('/')[0]}/… can't be attached in base64 (RFC 2046); say {_UNKNOWN}")
    return kind


def _check_id(id: str) -> str:
    id = id.removeprefix("<").removesuffix(">")
    if not re.fullmatch(r"[!-;=?-~]{1,128}", id):
        raise ValueError('write 1 to 128 visible ASCII characters, as in the html: "logo" for <img src="cid:logo">')
    return id


def _check_url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError("write https://…, ASCII without spaces, user and password")
    return url


class Attachment(BaseModel):
    """A file with an e-mail: `content` in base64, or `path`, an https URL. `content_id` shows it within the html."""

    model_config = ConfigDict(extra="forbid")
    filename: Annotated[str, Field(max_length=255), AfterValidator(_check_name)] | None = None
    content: str | None = Field(None, json_schema_extra={"contentEncoding": "base64"})
    path: Annotated[str, Field(max_length=2_000), AfterValidator(_check_url)] | None = None
    content_type: Annotated[str, Field(max_length=255), AfterValidator(_check_type)] | None = None
    content_id: Annotated[str, AfterValidator(_check_id)] | None = None

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str | None, info: ValidationInfo) -> str | None:
        if content is None:
            return None
        if any(space in content for space in "\n\r \t"):
            content = "".join(content.split())
        try:
            a2b_base64(content, strict_mode=bool(content))
        except (Error, ValueError):
            name = info.data.get("filename") or "without a filename"
            raise ValueError(f"attachment {name}: it is not base64 (RFC 4648, section 4)") from None
        return content

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if (self.content is None) == (self.path is None):
            raise ValueError(f"attachment {self.name}: give either content, in base64, or path, an https URL")
        if self.path is None and self.filename is None:
            raise ValueError("give a filename")
        return self

    @property
    def name(self) -> str:
        """Its file name, or the last part of its URL."""
        found = self.filename or unquote(urlsplit(self.path or "").path.rpartition("/")[2])
        return UNSAFE.sub("", found).replace("/", "").replace("\\", "")[-255:] or "attachment"

    @property
    def size_bytes(self) -> int:
        """How large the file is, 0 where it has yet to be read."""
        content = self.content or ""
        return len(content) // 4 * 3 - content.count("=", -2)


def build_attachment(attachment: Attachment) -> Part:
    """Return an attachment as a part. Raises ValueError for what a part's head can't hold."""
    kind = attachment.content_type or _TYPES.guess_type(attachment.name)[0] or _UNKNOWN
    place = "inline" if attachment.content_id else "attachment"
    fields = [
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: base64",
        write_parameters("Content-Disposition", place, {"filename": attachment.name}),
    ]
    if attachment.content_id:
        fields.append(f"Content-ID: <{attachment.content_id}>")
    return Part(fields, wrap_base64(attachment.content or ""))
