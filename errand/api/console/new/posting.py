"""Posting a form's job as a request to the API's own route, so that both are treated alike."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import Message

from errand.api.console.new.draft import Error, JobDraft
from errand.api.console.new.options import read_options
from errand.api.http.body import parse_beside
from errand.api.http.idempotency import HEADER
from errand.api.http.problems import Problem, refuse_input
from errand.api.routes.jobs import post_job
from errand.api.store import Store
from errand.contract.errors import NotFiniteError
from errand.store.new_job import NewJob

KEY_PREFIX = "console-"  # of the forms' idempotency keys, so that they meet no client's


async def post(store: Store, draft: JobDraft, key: str) -> tuple[NewJob, dict[str, str]]:
    """Store the job that a form asks for; return it and the answer's headers.

    Raises Problem: 422 with all that is wrong with fields and options as `errors`, 413, 503.
    """
    text, errors = draft.write_body()
    request = _build_request(store, draft, text.encode(), key)
    named = {error["pointer"] for error in errors}
    errors += [error for error in await _check(request, draft, text.encode()) if error.get("pointer") not in named]
    if errors:
        raise Problem(422, "invalid", "Some fields need another look", errors=errors)
    try:
        new, _, headers = await post_job(request, draft.job, await read_options(request))
        return new, headers
    except NotFiniteError as error:
        raise refuse_input([{"loc": (), "msg": str(error)}], in_body=True) from None


async def _check(request: Request, draft: JobDraft, body: bytes) -> list[Error]:
    """Return what is wrong with options and payload, both: the route stops at the first of the two."""
    errors: list[Error] = []
    for check in (read_options(request), parse_beside(body, draft.job.payload.model)):
        try:
            await check
        except Problem as problem:
            if "errors" not in problem.extra:
                raise
            errors += problem.extra["errors"]
    return errors


def _build_request(store: Store, draft: JobDraft, body: bytes, key: str) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers: dict[str, Any] = {"Content-Type": "application/json", "Content-Length": len(body)}
    headers[HEADER] = KEY_PREFIX + key
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/v1/jobs/{draft.job.type}",
        "query_string": urlencode(draft.pairs).encode(),
        "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
        # what the route asks the application for; the session stands for a key of the API
        "app": SimpleNamespace(state=SimpleNamespace(store=store, settings=SimpleNamespace(hashes=()))),
    }
    return Request(scope, receive)
