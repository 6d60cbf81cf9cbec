"""HTTP servers for tests: what takes webhooks, what answers as scripted; and a check of signatures by the standard."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # for the name localhost
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-seven by").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"and another one to change to").decode()


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """What its body holds."""
        return json.loads(self.body)


@dataclass
class Reply:
    """One answer: bytes or text as they are, anything else as JSON; without a status the connection is closed."""

    body: Any = None
    status: int | None = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body's bytes."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


class HttpServer:
    """Serves HTTP on loopback from its start on, and keeps what came; a subclass says what to `answer`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._build_handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._server.server_port

    def start(self) -> None:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, received: Received) -> Reply:
        """Return what a request is answered with."""
        raise NotImplementedError

    def _take(self, received: Received) -> Reply:
        self.received.append(received)
        return self.answer(received)

    def _build_handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                reply = take(Received(self.command, self.path, self.headers, body))
                if reply.status is None:
                    self.close_connection = True
                    return
                content = reply.encode()
                self.send_response(reply.status)
                for name, value in ({"Content-Length": str(len(content))} | reply.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the standard library's names

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Receiver(HttpServer):
    """Takes webhooks: answers with the statuses given, the last one for ever."""

    def __init__(self, *statuses: int, tls: bool = False, location: str = "") -> None:
        super().__init__()
        self._statuses = list(statuses or [204])
        self._headers = {"Location": location} if location else {}
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/hooks?token=t0ken"
        self.start()

    def answer(self, received: Received) -> Reply:
        """Return the next status."""
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return Reply(status=status, headers=self._headers)


class ScriptedService(HttpServer):
    """Answers each request by method and path, in the order given; the last answer stays."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: dict[str, list[Reply]] = {}

    @property
    def url(self) -> str:
        """How to reach it."""
        return f"http://127.0.0.1:{self.port}"

    def reply(self, asked: str, *replies: Reply) -> None:
        """Answer `GET /path`, whatever its query, by these."""
        self._replies[asked] = list(replies)

    def stream(self, path: str, *parts: str) -> None:
        """Answer at a path with one stream of events after the other."""
        kind = {"Content-Type": "text/event-stream; charset=utf-8"}
        self.reply(f"GET {path}", *(Reply(part, 200, kind) for part in parts))

    def find(self, start: str) -> list[Received]:
        """Return the requests that begin with `GET /path`."""
        return [one for one in self.received if f"{one.method} {one.path}".startswith(start)]

    def answer(self, received: Received) -> Reply:
        """Return the next reply, a problem where there is none."""
        replies = self._replies.get(f"{received.method} {received.path.partition('?')[0]}")
        if not replies:
            reply = Reply(make_problem(404, "not-found", f"There is nothing at {received.path}"), 404)
        else:
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        kind = "application/problem+json" if (reply.status or 0) >= 400 else "application/json"
        return Reply(reply.body, reply.status, {"Content-Type": kind} | reply.headers)


def make_problem(status: int, name: str, detail: str, **more: Any) -> dict[str, Any]:
    """Return a problem as the API describes it."""
    return {"type": f"urn:problem-type:errand:{name}", "title": "", "status": status, "detail": detail, **more}


def list_valid(received: Received, *secrets: str) -> list[str]:
    """Return those of `secrets` with which a request is signed, by the text of Standard Webhooks 1.0.0."""
    headers = {name.lower(): value for name, value in received.headers.items()}
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), received.body))
    there = headers["webhook-signature"].split(" ")
    return [secret for secret in secrets if f"v1,{_sign(secret, signed)}" in there]


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.partition("_")[2])
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
