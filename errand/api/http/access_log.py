"""The access log: a line a request, with the route in place of the path, which may hold an address, and no query."""

import asyncio
import logging
import re
import secrets
import sys
import time
from functools import lru_cache
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errand.service_log.line import Stamp, request_id
from errand.service_log.line import quote as to_json
from errand.service_log.reader import is_read_along, is_under_up

ACCESS = "uvicorn.access"
HEADER = b"x-request-id"
STATUSES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
PATH_LIMIT = 200  # characters of a path without a route; anybody may send kilobytes
JOB, LINK = "/v1/jobs/{id}", b"/v1/jobs/"
HIDDEN = "***"
_GIVEN = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_ADDRESS = re.compile(r"[^/]*(?:@|%40)[^/]*", re.I)


class AccessLog:
    """Gives each request an id, the caller's or one of ours, and logs it when its answer begins.

    The lines of one turn of the event loop are written together. What an application raises is logged where it is
    answered with 500, and does not reach uvicorn, which would log it again.
    """

    def __init__(self, app: ASGIApp, lines: "AccessLines | None") -> None:
        self._app = app
        self._lines = lines
        self._prefix, self._count = secrets.token_hex(5), count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        id, has_begun = self._read_id(scope), False
        request_id.set(id)

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                if self._lines:
                    self._lines.add(scope, message, id)
                message["headers"] = [*message.get("headers", ()), (HEADER, id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            if not has_begun:
                raise

    def _read_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == HEADER and _GIVEN.fullmatch(value):
                return str(value, "ascii")
        return f"{self._prefix}-{next(self._count):x}"


class AccessLines:
    """Writes the lines; only the event loop logs requests, so there is no lock."""

    def __init__(self, as_json: bool, has_time: bool) -> None:
        self._write = _write_json if as_json else _write_short
        self._stamp = Stamp(is_utc=as_json) if has_time or as_json else None
        self._kept: list[str] = []

    def add(self, scope: Scope, start: Message, id: str) -> None:
        """Keep a request's line until the loop's next turn."""
        if not self._kept:
            asyncio.get_running_loop().call_soon(self.flush)
        now = time.time()
        self._kept.append(self._write(self._stamp.write(now) if self._stamp else "", now, scope, start, id))

    def flush(self) -> None:
        """Write what is kept."""
        lines, self._kept = self._kept, []
        if lines:
            sys.stdout.write("".join(lines))
            sys.stdout.flush()


def _write_json(at: str, now: float, scope: Scope, start: Message, id: str) -> str:
    """Return the line as `JsonLines` writes it, by what is the same for all requests of a route."""
    job, client = _find_job(scope, start), scope["client"]
    about = f',"job_id":{to_json(job)}' if job else ""
    event = _write_event(scope["method"], name_path(scope), start["status"])
    who = to_json(client[0]) if client else '""'
    return f'{{"time":"{at}.{int(now % 1 * 1000):03d}Z",{event}{about},"client":{who},"request_id":"{id}"}}\n'


@lru_cache(1024)
def _write_event(method: str, path: str, status: int) -> str:
    return f'"level":"info","event":{to_json(f"{method} {path} {status}")},"logger":"{ACCESS}","status":{status}'


def _write_short(at: str, now: float, scope: Scope, start: Message, id: str) -> str:
    job, status, version = _find_job(scope, start), start["status"], scope["http_version"]
    request = f'"{scope["method"]} {name_path(scope)} HTTP/{version}" {STATUSES.get(status, status)}'
    return " ".join(filter(None, (at, request, job))) + "\n"


def _find_job(scope: Scope, start: Message) -> str:
    """Return the id of the job that was asked for, or stored; "" for none."""
    if start["status"] == 202:
        for name, value in start.get("headers", ()):
            if name == b"location" and LINK in value:  # a prefix may come before it
                return str(value.rpartition(LINK)[2], "ascii", "replace")
    route = scope.get("route")
    if route is not None and route.path.startswith(JOB):
        id = scope["path_params"].get("id", "")
        return id if _ID.fullmatch(id) else HIDDEN
    return ""


def name_path(scope: Scope) -> str:
    """Return a request's route, `/items/{item_id}`; where there is none, its path without what may be an address.

    A prefix is no part of a route; such a path begins with it.
    """
    route = scope.get("route")
    template = getattr(route, "path_format", None) or ""
    return _quote(template) if template else _quote_path(scope["path"])


@lru_cache(1024)
def _quote(template: str) -> str:
    return quote(template, safe="/{}:")


def _quote_path(path: str) -> str:
    return _ADDRESS.sub(HIDDEN, quote(path[:PATH_LIMIT], safe="/:@{}"))


def hide_values(record: logging.LogRecord) -> bool:
    """Take query and addresses out of a record of uvicorn's access log, where somebody has configured that by hand."""
    args: Any = record.args
    if isinstance(args, tuple) and len(args) == 5:
        client, method, path, version, status = args
        record.args = (client, method, _ADDRESS.sub(HIDDEN, str(path).partition("?")[0]), version, status)
    return True


def log_access(app: FastAPI, is_ours: bool) -> None:
    """Give requests ids; with `is_ours` log them in uvicorn's place, whose log takes a seventh of a request's time."""
    lines = None
    if is_ours:
        logging.getLogger(ACCESS).handlers = []
        lines = AccessLines(not is_read_along(sys.stdout), has_time=not is_under_up())
    build = app.build_middleware_stack  # called when the application starts: until then middleware may be added
    app.build_middleware_stack = lambda: AccessLog(build(), lines)  # type: ignore[method-assign]
