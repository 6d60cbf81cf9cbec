"""A server that takes webhooks, and what verifies them without the library that signs."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # for the name localhost
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-seven by").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"and another one to change to").decode()


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """What it tells."""
        return dict(json.loads(self.body))


class Receiver:
    """Answers with the statuses given, the last one for ever, and keeps what came."""

    def __init__(self, *statuses: int, tls: bool = False, location: str = "") -> None:
        self.received: list[Received] = []
        self._statuses = list(statuses or [204])
        self._location = location
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._build_handler())
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://localhost:{self._server.server_port}/hooks?token=t0ken"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._server.server_port

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, received: Received) -> tuple[int, str]:
        self.received.append(received)
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0], self._location

    def _build_handler(receiver) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, location = receiver._answer(Received(self.path, dict(self.headers), body))
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def list_valid(received: Received, *secrets: str) -> list[str]:
    """Return those of `secrets` with which a request is signed, by the text of Standard Webhooks 1.0.0."""
    headers = {name.lower(): value for name, value in received.headers.items()}
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), received.body))
    there = headers["webhook-signature"].split(" ")
    return [secret for secret in secrets if f"v1,{_sign(secret, signed)}" in there]


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.partition("_")[2])
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
