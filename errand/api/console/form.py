"""A form that a page of the console has sent."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from starlette.requests import Request

from errand.api.http.problems import Problem

BYTES_LIMIT = 8192
FIELDS_LIMIT = 1000


class Form:
    """Its fields; a name can have several values, as boxes that are ticked have."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def get(self, name: str, default: str = "") -> str:
        """Return a field's value, of several the last."""
        return self._fields.get(name, (default,))[-1]

    def get_all(self, name: str) -> Sequence[str]:
        """Return all values of a name."""
        return self._fields.get(name, ())


async def read_form(request: Request, bytes_limit: int = BYTES_LIMIT) -> Form:
    """Return the form in a request's body. Raises Problem 413 where it is larger, and 422 for too many fields."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_limit:
            raise Problem(413, "too-large", f"A form may have {bytes_limit:,} bytes")
    try:
        return Form(parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=FIELDS_LIMIT))
    except ValueError:
        raise Problem(422, "too-many-fields", f"A form may have {FIELDS_LIMIT:,} fields") from None
