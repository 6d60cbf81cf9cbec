"""`ETag` and `If-None-Match` (RFC 9110, section 13.1.2): 304 where the client has the answer already."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

_TAG = re.compile(r'(?:W/)?("[^"]*")')

# For `openapi_extra`: the header is read by hand, so a request without it pays nothing.
PARAMETER: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an earlier answer: 304 without a body where nothing has changed since.",
    "schema": {"type": "string"},
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Nothing has changed since that `ETag`"}}


def find_header(request: Request, name: bytes) -> str | None:
    """Return a header's value, its lines joined, None without it; `name` in lower case."""
    values = [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]
    return ", ".join(values) if values else None


def answer_with_tag(request: Request, content: Any, headers: Mapping[str, str]) -> Response:
    """Return `content` as JSON with its `ETag`, or the 304 where the request names that tag."""
    answer = JSONResponse(content, headers=headers)
    tag = f'"{blake2b(answer.body, digest_size=12).hexdigest()}"'
    asked = find_header(request, b"if-none-match")
    if asked is not None and (asked.strip() == "*" or tag in _TAG.findall(asked)):
        return Response(status_code=304, headers={**headers, "ETag": tag})
    answer.raw_headers.append((b"etag", tag.encode()))
    return answer
