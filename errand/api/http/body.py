"""Reading a JSON body: its size, its type, its model."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from errand.api.http.problems import Problem, refuse_input

BODY_LIMIT_BYTES = 1024 * 1024  # of a request that posts no job; a type of jobs has its own
BOM = b"\xef\xbb\xbf"
M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], limit_bytes: int = BODY_LIMIT_BYTES) -> M:
    """Return the body as `model`; an empty one means {}. Raises Problem (413, 415, 422)."""
    incoming = Incoming(request, limit_bytes)
    return await parse_beside(await incoming.read(limit_bytes), model)


class Incoming:
    """A request's body as it comes, `limit_bytes` at most.

    Its headers are checked first, before a client that sends `Expect: 100-continue` sends it. `size_bytes` is None
    where they don't say; `has_key` is whether they have an `Idempotency-Key`. Raises Problem (413, 415).
    """

    def __init__(self, request: Request, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._media_type, self.size_bytes, self.has_key = _check_headers(request, limit_bytes)
        self._stream = request.stream()

    async def read(self, enough_bytes: int) -> bytes:
        """Return what has come as soon as that is more than `enough_bytes`, or all of it. Raises Problem (413, 415)."""
        chunks, come_bytes = [], 0
        async for chunk in self._stream:
            come_bytes += len(chunk)
            if come_bytes > self._limit_bytes:
                raise _refuse_size(self._limit_bytes)
            chunks.append(chunk)
            if come_bytes > enough_bytes:
                break
        if come_bytes and not self._media_type:
            raise _refuse_type("")
        return b"".join(chunks)

    async def read_rest(self, begun: bytes) -> bytearray:
        """Return all of it, which began with `begun`, in one piece of memory. Raises Problem (413)."""
        whole = bytearray(begun)
        async for chunk in self._stream:
            whole += chunk
            if len(whole) > self._limit_bytes:
                raise _refuse_size(self._limit_bytes)
        return whole


async def parse_beside(body: bytes, model: type[M]) -> M:
    """Return a body as `model`, in a thread where the model says that this takes long. Raises Problem (415, 422).

    A model says so by `validates_slowly`, a static method that looks at the body's bytes.
    """
    is_slow = _find_mark(model)
    return await asyncio.to_thread(parse, body, model) if is_slow and is_slow(body) else parse(body, model)


@cache
def _find_mark(model: type[BaseModel]) -> Callable[[bytes], bool] | None:
    """Return a model's `validates_slowly`, None without one; pydantic is slow to look for what isn't there."""
    found: Callable[[bytes], bool] | None = getattr(model, "validates_slowly", None)
    return found


def parse(body: bytes | bytearray, model: type[M]) -> M:
    """Return a body as `model`. Raises Problem (415, 422)."""
    if body.startswith(BOM):  # RFC 8259, section 8.1: a parser may ignore it
        body = body[len(BOM) :]
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        if b"\0" in body[:4] or body.startswith((b"\xff\xfe", b"\xfe\xff")):
            detail = "The body is UTF-16 or UTF-32; send JSON in UTF-8 (RFC 8259, section 8.1)"
            raise Problem(415, "not-utf-8", detail) from None
        raise refuse_input(error.errors(include_url=False, include_input=False), in_body=True) from None


def _check_headers(request: Request, limit_bytes: int) -> tuple[str, int | None, bool]:
    """Return the media type ('' without one), the length in bytes, and whether there is an `Idempotency-Key`.

    Raises Problem (413, 415).
    """
    media_type, size_bytes, has_key = "", None, False
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            media_type = value.decode("latin-1").partition(";")[0].strip().lower()
        elif name == b"content-length":
            size_bytes = int(value) if value.isdigit() else None
        elif name == b"idempotency-key":
            has_key = True
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise _refuse_encoding(value.decode("latin-1"))
    if media_type not in ("application/json", ""):
        raise _refuse_type(media_type)
    if size_bytes is not None and size_bytes > limit_bytes:
        raise _refuse_size(limit_bytes)
    return media_type, size_bytes, has_key


def _refuse_encoding(encoding: str) -> Problem:
    detail = f"The header Content-Encoding is '{encoding[:64]}'; send the JSON as it is, without that header"
    return Problem(415, "encoded-body", detail, {"Accept-Encoding": "identity"})


def _refuse_type(media_type: str) -> Problem:
    shown = f"'{media_type}'" if media_type else "missing"
    return Problem(415, "not-json", f"The header Content-Type is {shown}; send application/json")


def _refuse_size(limit_bytes: int) -> Problem:
    return Problem(413, "too-large", f"The body is larger than {limit_bytes:,} bytes", {"Connection": "close"})
