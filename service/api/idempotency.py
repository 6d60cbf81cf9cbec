"""The header `Idempotency-Key`: a request that is sent again gets its first answer again and runs nothing."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from service.api.auth import require_key
from service.api.deadline import redis_deadline
from service.api.problems import Problem, refuse_input
from service.api.state import Road
from service.queue.enqueue import NewJob, TooManyDependentsError, UnknownParentError, derive_ids
from service.queue.idempotency import Claim, Stored, StoredBeforeError

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}
LIMIT = 255  # characters

# For `openapi_extra`: the header is read by hand, so that a request without it pays nothing.
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


async def read_claim(request: Request, body: BaseModel) -> Claim | None:
    """Return the claim of a request with a validated `body`, None without the header. Raises Problem 422."""
    if HEADER not in request.headers:
        return None
    key = _parse(request.headers.getlist(HEADER))
    keyed = request.app.state.settings.hashes
    caller = await require_key(request) if keyed else ""
    return Claim(caller, key, _compute_fingerprint(request, body))


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


def _compute_fingerprint(request: Request, body: BaseModel) -> str:
    """Return the SHA-256 of what a request asks for; the order of its query and of its body's fields is no matter."""
    dumped: Any = {"exclude_unset": True, "by_alias": False, "round_trip": True}  # as payloads are stored
    stored = _sort_sets(body.model_dump(mode="json", **dumped), body.model_dump(**dumped))
    query = sorted(request.query_params.multi_items())
    return hashlib.sha256(_write([request.method, request.scope["path"], query, stored]).encode()).hexdigest()


def _sort_sets(shown: Any, value: Any) -> Any:
    """Return JSON `shown` of `value` with what were sets in order: their own order differs between processes."""
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


async def store_once(
    road: Road, jobs: Sequence[NewJob], claim: Claim | None, batch: tuple[str, str] | None = None
) -> tuple[Sequence[NewJob], list[str], dict[str, str]]:
    """Store the jobs, or find those that the first request under the claim's key stored.

    Returns the jobs, their statuses as first answered, and the answer's further headers. Raises Problem (422, 503).
    """
    kind, id = ("batch", batch[0]) if batch else ("job", jobs[0].id)
    detail = f"Redis did not answer; the {kind} may have been stored, under this id"
    if claim:
        detail += f" or an earlier request's. Send it again under the same {HEADER}"
    try:
        async with redis_deadline(detail, id=id):
            return jobs, await road.enqueuer.store(jobs, batch, claim), {}
    except UnknownParentError as error:
        fault = {"loc": ("after",), "msg": f"there is no job {error}; it may have expired"}
        raise refuse_input([fault], in_body=False) from None
    except TooManyDependentsError as error:
        fault = {"loc": ("after",), "msg": f"job {error} has 5,000 dependents, the most there may be"}
        raise refuse_input([fault], in_body=False) from None
    except StoredBeforeError as error:
        stored = error.stored
    if claim and claim.fingerprint != stored.fingerprint:
        raise _refuse_reuse()
    return _restore(jobs, stored), stored.list_statuses(len(jobs)), REPLAYED


def _restore(jobs: Sequence[NewJob], stored: Stored) -> list[NewJob]:
    """Return the jobs of the same request as the first one stored them."""
    batch = stored.id if jobs[0].batch else None
    ids = derive_ids(batch, len(jobs)) if batch else [stored.id]
    return [
        replace(job, id=id, batch=batch, created_at=stored.created_at, run_at=stored.run_at)
        for id, job in zip(ids, jobs, strict=True)
    ]


def _refuse_reuse() -> Problem:
    detail = (
        f"Another request was sent under this {HEADER}, and nothing was stored now. "
        f"For a new request use a new key; to repeat the first one, send it as it was: path, query and body"
    )
    return Problem(422, "idempotency-key-reused", detail)
