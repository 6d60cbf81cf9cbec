"""What a client may send, how slowly, and how many may be there: under uvicorn's two parsers."""

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
import uvicorn

from errand.api import bounded_protocol, connections
from errand.api.bounds import H11Protocol, Protocol
from tests.support.api_server import serve
from tests.support.waiting import wait_until

Address = tuple[str, int]
KIB = 1024
HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n"
SILENT = b"GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n"


class App:
    """Answers with what it was sent; at /silent when it is let go."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.heads: list[list[tuple[bytes, bytes]]] = []
        self.asked = 0

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        self.asked += 1
        self.heads.append(scope["headers"])
        body, more = b"", True
        if scope["path"] != "/silent":
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body, more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/silent":
            await asyncio.to_thread(self.may_answer.wait, 10)
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture(params=[Protocol, H11Protocol], ids=["httptools", "h11"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def address(app: App, protocol: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    for module in (bounded_protocol, connections):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    with serve(app, protocol) as address:
        yield address
        app.may_answer.set()


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head or a body has a fifth of a second in place of ten."""
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(bounded_protocol, "BODY_SECONDS", 0.2)


@contextmanager
def connect(address: Address, *begun: bytes) -> Iterator[socket.socket]:
    with closing(socket.create_connection(address, timeout=20)) as peer:
        for piece in begun:
            peer.sendall(piece)
        yield peer


def read(peer: socket.socket) -> tuple[int, Any]:
    """Return the status and the problem's type, or the body, of one answer; (0, None) where there is none."""
    answer = b""
    with suppress(ConnectionResetError):
        while b"\r\n\r\n" not in answer and (said := peer.recv(65536)):
            answer += said
    if not answer:
        return 0, None
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += peer.recv(65536)
    if fields.get(b"content-type") == b"application/problem+json":
        assert fields[b"connection"] == b"close"
        problem = json.loads(body)
        assert problem["status"] == int(head[9:12])
        return problem["status"], problem["type"].removeprefix("urn:problem-type:errand:")
    return int(head[9:12]), body


def is_closed(peer: socket.socket) -> bool:
    """Wait for the end of a connection."""
    with suppress(ConnectionResetError):
        return peer.recv(1) == b""
    return True


def pad(size_bytes: int) -> bytes:
    """Return a head of so many bytes."""
    rest = size_bytes - len(GET) - len(b"X: \r\n\r\n")
    return GET + b"X: " + b"x" * rest + b"\r\n\r\n"


def test_a_head_may_have_64_kib(address: Address) -> None:
    with connect(address, pad(64 * KIB)) as peer:
        assert read(peer) == (200, b"")


@pytest.mark.parametrize("size_bytes", [64 * KIB + 100, 90 * KIB, 5000 * KIB])
def test_a_larger_head_is_a_431(address: Address, size_bytes: int) -> None:
    with connect(address, pad(size_bytes)) as peer:
        assert read(peer) == (431, "head-too-large")
        assert is_closed(peer)


LONG = {
    "header": HEAD + b"X: ",
    "request line": b"GET /",
    "name of a header": HEAD,
    "trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: ",
    "chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;",
}


@pytest.mark.parametrize("begun", LONG.values(), ids=LONG.keys())
def test_whatever_is_longer_ends_its_connection_and_is_kept_nowhere(
    address: Address, app: App, protocol: Any, begun: bytes
) -> None:
    with connect(address) as peer, suppress(ConnectionResetError, BrokenPipeError):
        peer.sendall(begun)
        for _ in range(80):
            peer.sendall(b"x" * 64 * KIB)
        assert read(peer)[0] in ((431,) if protocol is Protocol else (431, 400))
    with connect(address, GET + b"\r\n") as peer:
        assert read(peer) == (200, b"")
    assert all(sum(map(len, field)) < 100 for head in app.heads for field in head)


def test_100_fields_are_taken_and_101_are_a_431(address: Address) -> None:
    fields = [b"X-%d: 1\r\n" % number for number in range(99)]
    with connect(address, GET + b"".join(fields) + b"\r\n") as peer:
        assert read(peer) == (200, b"")
    with connect(address, GET + b"".join([*fields, b"One: 1\r\n"]) + b"\r\n") as peer:
        assert read(peer) == (431, "head-too-large")
        assert is_closed(peer)


def test_a_body_of_any_size_comes_through_whole(address: Address) -> None:
    body = bytes(range(256)) * 8 * KIB
    with connect(address, HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body) as peer:
        assert read(peer) == (200, body)


def test_a_body_in_chunks_comes_through_whole(address: Address) -> None:
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (size, b"x" * size) for size in (1, 70_000, 5, 200_000))
    with connect(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunks + b"0\r\nX: 1\r\n\r\n") as peer:
        assert read(peer) == (200, b"x" * 270_006)


def test_a_trailer_adds_no_header(address: Address, app: App) -> None:
    trailer = b"2\r\nhi\r\n0\r\nAuthorization: Bearer secret\r\n\r\n"
    with connect(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + trailer) as peer:
        assert read(peer) == (200, b"hi")
    assert [name for name, _ in app.heads[0]] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("begun", [b"G", GET, GET + b"X: "])
def test_a_head_that_does_not_come_in_time_is_a_408(in_haste: None, address: Address, begun: bytes) -> None:
    with connect(address, begun) as peer:
        assert read(peer) == (408, "too-slow")
        assert is_closed(peer)


def test_a_head_by_the_drop_is_a_408(in_haste: None, address: Address) -> None:
    with connect(address, GET + b"X: ") as peer:
        for _ in range(100):
            with suppress(ConnectionResetError, BrokenPipeError):
                peer.sendall(b"x")
            time.sleep(0.01)
        assert read(peer) == (408, "too-slow")


def test_the_second_head_of_a_connection_has_to_come_in_time_as_well(in_haste: None, address: Address) -> None:
    with connect(address, GET + b"\r\n") as peer:
        assert read(peer) == (200, b"")
        peer.sendall(GET)
        assert read(peer) == (408, "too-slow")


def test_a_client_that_connects_and_says_nothing_is_closed_without_a_word(in_haste: None, address: Address) -> None:
    with connect(address) as peer:
        assert read(peer) == (0, None)


@pytest.mark.parametrize("body", [b"Content-Length: 10\r\n\r\nx", b"Transfer-Encoding: chunked\r\n\r\n5\r\nx"])
def test_a_body_that_does_not_come_in_time_is_a_408(in_haste: None, address: Address, app: App, body: bytes) -> None:
    with connect(address, HEAD + body) as peer:
        assert read(peer) == (408, "too-slow")
        assert is_closed(peer)
    assert app.asked == 1


def test_a_body_gets_more_time_by_what_has_come(in_haste: None, address: Address) -> None:
    with connect(address, HEAD + b"Content-Length: 3000\r\n\r\n", b"x" * 2000) as peer:
        time.sleep(1)  # it has 2.2 seconds
        peer.sendall(b"x" * 1000)
        assert read(peer) == (200, b"x" * 3000)


def test_a_client_that_waits_to_go_on_is_not_slow(in_haste: None, address: Address, app: App) -> None:
    silent = SILENT.replace(b"GET", b"POST").removesuffix(b"\r\n")
    with connect(address, silent + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n") as peer:
        time.sleep(0.6)
        app.may_answer.set()
        assert read(peer) == (200, b"")


def test_an_answer_takes_as_long_as_it_takes(in_haste: None, address: Address, app: App) -> None:
    with connect(address, SILENT) as peer:
        time.sleep(0.6)
        app.may_answer.set()
        assert read(peer) == (200, b"")


def test_requests_that_come_at_once_are_answered_in_order(address: Address) -> None:
    requests = [HEAD + b"Content-Length: 1\r\n\r\n%d" % number for number in range(8)]
    with connect(address, b"".join(requests)) as peer, peer.makefile("rb") as answers:
        for number in range(8):
            while answers.readline() != b"\r\n":
                pass
            assert answers.read(1) == b"%d" % number


def test_of_very_many_at_once_the_first_are_answered_and_the_connection_is_closed(
    address: Address, app: App, protocol: Any
) -> None:
    with connect(address, SILENT) as peer:
        wait_until(lambda: app.asked == 1)
        with suppress(ConnectionResetError, BrokenPipeError):
            peer.sendall((GET + b"\r\n") * 100)
        app.may_answer.set()
        answered = b""
        with suppress(ConnectionResetError):
            while answered.count(b"HTTP/1.1 200") < 101 and (said := peer.recv(65536)):
                answered += said
        assert answered.count(b"HTTP/1.1 200") == (
            17 if protocol is Protocol else 101
        )  # h11 reads no further than it answers


def limit(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (files, files))


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 5)
    assert connections.find_limit() == 2


def test_of_too_many_connections_the_oldest_without_a_request_gives_way(room_for_two: None, address: Address) -> None:
    with connect(address) as oldest, connect(address, GET) as older, connect(address, GET + b"\r\n") as newest:
        assert read(newest) == (200, b"")
        assert is_closed(oldest)
        older.sendall(b"\r\n")
        assert read(older) == (200, b"")


def test_where_all_are_served_the_next_is_a_503(room_for_two: None, address: Address, app: App) -> None:
    with connect(address, SILENT) as one, connect(address, SILENT) as other:
        wait_until(lambda: app.asked == 2)
        with connect(address) as third:
            assert read(third) == (503, "too-many-connections")
            assert is_closed(third)
        app.may_answer.set()
        assert read(one) == read(other) == (200, b"")


@pytest.mark.parametrize(("files", "room"), [(64, 26), (256, 156), (1024, 924), (1_048_576, 1_048_476)])
def test_the_limit_of_open_files_leaves_room_for_redis(monkeypatch: pytest.MonkeyPatch, files: int, room: int) -> None:
    limit(monkeypatch, files)
    assert connections.find_limit() == room


def test_what_was_refused_is_one_line_for_all(
    in_haste: None, address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(address, GET) as one, connect(address, GET) as other:
        assert read(one) == read(other) == (408, "too-slow")
    wait_until(lambda: any("Refused: " in record.getMessage() for record in caplog.records))
    (line,) = {record.getMessage() for record in caplog.records if "Refused: " in record.getMessage()}
    assert line.endswith("slow heads")


def test_a_stop_waits_for_no_half_sent_request(app: App, protocol: Any) -> None:
    config = uvicorn.Config(app, port=0, http=protocol, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    with connect((host, port), GET), connect((host, port), pad(90 * KIB)), connect((host, port)):
        wait_until(lambda: len(server.server_state.connections) == 3)
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
