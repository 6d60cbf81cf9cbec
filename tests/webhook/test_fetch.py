"""Reading a file whose end does not come."""

import socket
import threading
from contextlib import suppress

import pytest

from errand.webhook import request
from errand.webhook.fetch import UnreadError, fetch


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_file_that_drips_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch, connection: bytes) -> None:
    monkeypatch.setattr(request, "ANSWER_SECONDS", 0.3)
    ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        with suppress(OSError), listener.accept()[0] as taken:
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: " + connection + b"\r\n\r\n")
            while not ended.wait(0.02):
                taken.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=[listener])
        thread.start()
        guard = threading.Timer(5, ended.set)
        guard.start()
        with pytest.raises(UnreadError, match=r"^127\.0\.0\.1: the file did not come within 0\.3 s$"):
            fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/", 10_000, allow_private=True)
        guard.cancel()
        ended.set()
        thread.join()
