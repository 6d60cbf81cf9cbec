"""The web process of `errand up shop.main:errand`, at its end."""

import http.client
import socket
import threading
from typing import Any

import pytest
import uvicorn

from errand.local.own_app import web
from tests.support.waiting import wait_until


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_who_has_connected_and_not_yet_asked_is_answered_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 2.0)
    server = web.GracefulServer(uvicorn.Config(app, lifespan="off", log_config=None))
    listening = socket.create_server(("127.0.0.1", 0))
    caller = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=20)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    caller.connect()
    wait_until(lambda: server.server_state.connections)
    server.should_exit = True
    wait_until(lambda: not server.servers[0].is_serving())
    caller.request("GET", "/")
    assert caller.getresponse().status == 200
    caller.close()
    thread.join()
