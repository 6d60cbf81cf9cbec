"""A service that answers as it is told, and remembers what it was asked."""

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ID = "bcdefa92-2fcf-4655-b44f-7846d446f290"


def make_job(status: str = "queued", id: str = ID, **more: Any) -> dict[str, Any]:
    """Return a job as the API shows it."""
    nothing = {"done": None, "total": None, "percent": None, "message": "", "updated_at": None}
    times = dict.fromkeys(("enqueued_at", "run_at", "started_at", "ended_at"))
    return {
        "id": id,
        "type": "log",
        "queue": "log",
        "status": status,
        "progress": nothing,
        "attempts": 0,
        "interruptions": 0,
        "losses": 0,
        "retries_left": 7,
        "created_at": "2026-11-23T14:17:21.698Z",
        **times,
        "result": None,
        "error": None,
        "tags": [],
        "depends_on": [],
        "dependents": [],
        "links": {"self": f"/v1/jobs/{id}"},
        **more,
    }


def make_problem(status: int, name: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": f"urn:problem-type:errand:{name}", "title": "", "status": status, "detail": detail, **more}


def make_event(name: str, id: str, data: Any) -> str:
    return f"event: {name}\nid: {id}\ndata: {json.dumps(data)}\n\n"


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """One answer: JSON, or text as it is; without a status the connection is closed at once."""

    body: Any = None
    status: int | None = 200
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedService:
    """Answers each request by method and path, in the order given; the last answer stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[str, list[Reply]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._build_handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ScriptedService":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, asked: str, *replies: Reply) -> None:
        """Answer `GET /path`, whatever its query, by these."""
        self._replies[asked] = list(replies)

    def stream(self, path: str, *parts: str) -> None:
        """Answer at a path with one stream of events after the other."""
        kind = {"Content-Type": "text/event-stream; charset=utf-8"}
        self.reply(f"GET {path}", *(Reply(part, 200, kind) for part in parts))

    def find(self, start: str) -> list[Asked]:
        """Return the requests that begin with `GET /path`."""
        return [one for one in self.asked if f"{one.method} {one.path}".startswith(start)]

    def _take(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        replies = self._replies.get(f"{asked.method} {asked.path.partition('?')[0]}")
        if not replies:
            return Reply(make_problem(404, "not-found", f"There is nothing at {asked.path}"), 404)
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def _build_handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                reply = take(Asked(self.command, self.path, self.headers, body))
                if reply.status is None:
                    self.close_connection = True
                    return
                text = (
                    reply.body if isinstance(reply.body, str) else "" if reply.body is None else json.dumps(reply.body)
                )
                kind = "application/problem+json" if reply.status >= 400 else "application/json"
                self.send_response(reply.status)
                for name, value in {"Content-Type": kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the standard library's names

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
