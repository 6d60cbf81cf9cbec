"""A form that a page of the console has sent."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs
from uuid import uuid4

from starlette.requests import Request

from errand.api.http.problems import Problem

BYTES_LIMIT = 8192  # of one without a payload: a password and an address, say
PAYLOAD_FORM_BYTES = 1024 * 1024  # of one with a job's payload; as many as the API takes in a body
FIELDS_LIMIT = 1000  # the most are the 200 ids of a bulk change, and the options of a job
_KEY = re.compile(r"[0-9a-f]{32}")


class Form:
    """The fields of a form. A name can have several values, as ticked boxes do."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def get(self, name: str, default: str = "") -> str:
        """Return a field's value, of several the last."""
        return self._fields.get(name, (default,))[-1]

    def get_all(self, name: str) -> Sequence[str]:
        """Return all values of a name."""
        return self._fields.get(name, ())

    def read_key(self) -> str:
        """Return the key that `new_key` gave the form, "" where it has none."""
        key = self.get("key")
        return key if _KEY.fullmatch(key) else ""


def new_key() -> str:
    """Return an idempotency key for a form, so that sent twice it does its work once. Templates call it."""
    return uuid4().hex


async def read_form(request: Request, bytes_limit: int = BYTES_LIMIT) -> Form:
    """Return the form in a request's body. Raises Problem 413 where it is larger, and 422 for too many fields."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_limit:
            raise Problem(413, "too-large", f"A form may have at most {bytes_limit:,} bytes")
    try:
        return Form(parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=FIELDS_LIMIT))
    except ValueError:
        raise Problem(422, "too-many-fields", f"A form may have at most {FIELDS_LIMIT:,} fields") from None
