"""The API on a port, in a thread of the test's process, under either of uvicorn's HTTP parsers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.support.waiting import wait_until


@contextmanager
def serve(app: ASGIApp, http: str, root_path: str = "", port: int = 0) -> Iterator[tuple[str, int]]:
    """Serve `app` and yield its host and port, which is a free one where none is named."""
    given = {"http": http, "root_path": root_path, "log_config": None, "timeout_graceful_shutdown": 1}
    config = uvicorn.Config(app, port=port, **given)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(10)
