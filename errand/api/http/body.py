"""Reading a JSON body: its size, its type, its model."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from errand.api.http.problems import Problem, refuse_input

BODY_LIMIT_BYTES = 1024 * 1024
M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """Return the body as `model`; an empty one means {}. Raises Problem (413, 415, 422)."""
    body = await _read_bytes(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and (body or media_type):
        shown = f"'{media_type}'" if media_type else "missing"
        raise Problem(415, "not-json", f"The header Content-Type is {shown}; send application/json")
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise refuse_input(error.errors(include_url=False, include_input=False), in_body=True) from None


async def _read_bytes(request: Request) -> bytes:
    chunks, size_bytes = [], 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > BODY_LIMIT_BYTES:
            detail = f"The body is larger than {BODY_LIMIT_BYTES:,} bytes"
            raise Problem(413, "too-large", detail, {"Connection": "close"})  # the rest is not read
        chunks.append(chunk)
    return b"".join(chunks)
