"""The search field: an id leads to its job or batch, a word to the jobs of that type, queue or tag."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from errand.api.console.page import Look
from errand.api.console.render import Renderer
from errand.api.console.views.jobs import is_id
from errand.api.http.problems import Problem
from errand.contract.from_python.options import WORD

TEXT_LIMIT = 200  # characters, as of the search field


async def search(request: Request, look: Look, renderer: Renderer) -> Response:
    """Redirect to what was searched for. Raises Problem 404 and RedisError."""
    text = request.query_params.get("q", "").strip()[:TEXT_LIMIT]
    if not text:
        return RedirectResponse(renderer.url_for("jobs"))
    return RedirectResponse(await _find(text, look, renderer))


async def _find(text: str, look: Look, renderer: Renderer) -> str:
    store, id = look.store, text.lower()
    if is_id(id):
        if await store.jobs.read(id):
            return renderer.url_for("job", id=id)
        if await store.batches.read(id):
            return renderer.url_for("batch", id=id)
        raise Problem(404, "no-such-job", f"There is no job and no batch {id}; it may have expired")
    if text in store.types:
        return renderer.url_for("jobs", {"type": text})
    if text in {queue.name for queue in await store.queues.read_all()}:
        return renderer.url_for("jobs", {"queue": text})
    if re.fullmatch(WORD, text):
        return renderer.url_for("jobs", {"tag": text})
    raise Problem(404, "not-found", f"Nothing is found for {text!r}. Search for an id, a type, a queue or a tag")
