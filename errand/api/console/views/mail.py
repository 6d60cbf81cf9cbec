"""`/console/mail`: the mails that the local server of `errand up` has kept, and a page for each."""

import asyncio
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from errand.api.console.mail.folder import Mails, missing_mail
from errand.api.console.mail.frame import HEADERS, build_frame
from errand.api.console.mail.message import Head
from errand.api.console.mail.parts import list_parts, name_file, read_bytes
from errand.api.console.page import Content, Look, View
from errand.api.console.render import RAW_HEADERS, Renderer
from errand.api.http.problems import Problem


async def read_mails(look: Look) -> Content:
    """Return what the list shows."""
    before = look.query.get("before", "")
    listed = await _find(look).read_list(before)
    return Content("Mail", {"list": {"mails": listed, "before": before}})


async def read_message(look: Look) -> Content:
    """Return what a mail's page shows. Raises Problem 404 and RedisError."""
    mail = await _find(look).read(look.path["name"])
    id = mail.head.job
    job = await look.store.jobs.read(id) if id else None
    return Content(mail.head.subject or "Mail", {"job": {"id": id, "job": job}}, {"mail": mail})


async def find_mails(look: Look, id: str) -> list[Head]:
    """Return the mails of a job, where mail is kept."""
    return await look.mails.find_of_job(id) if look.mails else []


async def send_frame(request: Request, look: Look, renderer: Renderer) -> Response:
    """Return a mail's html, to be shown in a frame. Raises Problem 404."""
    name = look.path["name"]
    path = _find(look).find(name)
    try:
        return HTMLResponse(await asyncio.to_thread(build_frame, path), headers=HEADERS)
    except Exception:
        raise missing_mail(name) from None


async def send_source(request: Request, look: Look, renderer: Renderer) -> Response:
    """Return a mail as it came over the wire. Raises Problem 404."""
    path = _find(look).find(look.path["name"])
    return FileResponse(path, headers=RAW_HEADERS, media_type="text/plain; charset=utf-8")


async def send_file(request: Request, look: Look, renderer: Renderer) -> Response:
    """Return a part of a mail as a download. Raises Problem 404."""
    path, number = _find(look).find(look.path["name"]), look.path["number"]
    parts = await asyncio.to_thread(lambda: list_parts(path.read_bytes()))
    part = {f"{place}": part for place, part in enumerate(parts)}.get(number)
    if part is None:
        raise Problem(404, "no-such-file", f"The mail has no part {number[:8]!r}")
    name = name_file(part, int(number))
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {**RAW_HEADERS, "Content-Disposition": disposition}
    return Response(read_bytes(part), headers=headers, media_type="application/octet-stream")


def _find(look: Look) -> Mails:
    assert look.mails is not None  # without them these pages have no routes
    return look.mails


VIEWS = [
    View("mail", "/mail", read_mails, "mail", ("before",)),
    View("message", "/mail/{name}", read_message, "mail"),
]
ANSWERS = [
    ("mail-frame", "/mail/{name}/frame", send_frame),
    ("mail-source", "/mail/{name}/source", send_source),
    ("mail-file", "/mail/{name}/files/{number}", send_file),
]
