"""The header `Idempotency-Key`: a request that is sent again gets its first answer again and runs nothing."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from errand.api.http.auth import require_key
from errand.api.http.prefix import strip_prefix
from errand.api.http.problems import Problem, refuse_input
from errand.store.idempotency import Claim, IdempotencyRecord
from errand.store.new_job import NewJob, restore_jobs

HEADER = "Idempotency-Key"
_RAW_HEADER = HEADER.lower().encode()
REPLAYED = {"Idempotency-Replayed": "true"}
SEND_AGAIN = f" or an earlier request's. Send it again under the same {HEADER}"  # where Redis did not answer
LIMIT = 255  # characters: a UUID has 36, and a name made of several ids fits too

# For `openapi_extra`: Incoming sees whether there is the header, so a request without it never gets here.
DESCRIPTION: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "A name of your own for this request, bare or quoted. Sent again within 24 hours with the "
            "same name, the same request gets the same answer, and nothing runs twice.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LIMIT, "pattern": "^[!-~]+$"},
        }
    ],
    "responses": {
        "202": {
            "headers": {
                "Idempotency-Replayed": {
                    "description": "`true` where an earlier request under the same `Idempotency-Key` got this answer",
                    "schema": {"type": "string", "const": "true"},
                }
            }
        }
    },
}

# What begins with a quote is a string of RFC 9651 (section 3.3.3), in which \ stands before " and \ only.
_BARE = re.compile(r"[!#-~][!-~]*")
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])*)"')

Named = tuple[str, str]  # whose key it is, and the key


async def read_key(request: Request) -> Named:
    """Return the caller and the key of a request that has the header. Raises Problem (401, 403, 422)."""
    key = _parse([value.decode("latin-1") for name, value in request.scope["headers"] if name == _RAW_HEADER])
    keyed = request.app.state.settings.hashes
    return await require_key(request) if keyed else "", key


def claim_with(request: Request, body: BaseModel, named: Named) -> Claim:
    """Return what a caller claims under a key: a request with this validated `body`."""
    path, whole = strip_prefix(request.scope), request.scope["path"]
    own = _compute_fingerprint(request, path, body)
    # Versions without prefixes took one for a part of the path; their records are valid for a day.
    return Claim(*named, own, None if path == whole else _compute_fingerprint(request, whole, body))


def _parse(values: list[str]) -> str:
    text = values[0] if len(values) == 1 else ""
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _BARE.fullmatch(text):
        text = ""
    if not 1 <= len(text) <= LIMIT:
        detail = f"send the header {HEADER} once: 1 to {LIMIT} visible ASCII characters without spaces, bare or quoted"
        raise refuse_input([{"loc": (HEADER,), "msg": detail}], in_body=False)
    return text


def _compute_fingerprint(request: Request, path: str, body: BaseModel) -> str:
    """Return the SHA-256 of what a request asks for, in whatever order its query and its body's fields are."""
    dumped: Any = {"exclude_unset": True, "by_alias": False, "round_trip": True}  # as payloads are stored
    stored = _sort_sets(body.model_dump(mode="json", **dumped), body.model_dump(**dumped))
    query = sorted(request.query_params.multi_items())
    return hashlib.sha256(_write([request.method, path, query, stored]).encode()).hexdigest()


def _sort_sets(shown: Any, value: Any) -> Any:
    """Return JSON `shown` of `value` with what were sets in order, since a set's own order differs by process."""
    match shown, value:
        case list(), set() | frozenset():
            return sorted(shown, key=_write)
        case list(), list() | tuple() if len(shown) == len(value):
            return [_sort_sets(*pair) for pair in zip(shown, value, strict=True)]
        case dict(), dict() if len(shown) == len(value):
            return {name: _sort_sets(shown[name], inner) for name, inner in zip(shown, value.values(), strict=True)}
    return shown  # a plain value, or one with a JSON form of its own


def _write(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def replay(claim: Claim | None, stored: IdempotencyRecord, jobs: Sequence[NewJob]) -> list[NewJob]:
    """Return a request's jobs as the first one under its key stored them. Raises Problem 422 where that was another."""
    if claim and stored.fingerprint not in (claim.fingerprint, claim.earlier):
        detail = (
            f"Another request was sent under this {HEADER}, and nothing was stored now. "
            f"For a new request use a new key; to repeat the first one, send it as it was: path, query and body"
        )
        raise Problem(422, "idempotency-key-reused", detail)
    return restore_jobs(jobs, stored.id, stored.created_at, stored.run_at)
