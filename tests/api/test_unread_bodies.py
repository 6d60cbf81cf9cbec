"""A body that is refused before it has been read: the client can read why, whatever it is and however it sends."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from redis import Redis

from tests.support.api_server import serve

MIB = 1024 * 1024
BIG = b'{"text": "' + b"x" * (10 * MIB) + b'"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(
    params=["h11", "httptools", "errand.api.bounds:Protocol", "errand.api.bounds:H11Protocol"], scope="module"
)
def parser(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def address(
    parser: str, build_app: Callable[[str], FastAPI], redis_url: str, redis: Redis
) -> Iterator[tuple[str, int]]:
    with serve(build_app(redis_url), parser) as address:
        yield address


def in_pieces() -> Iterator[bytes]:
    for at in range(0, len(BIG), MIB):
        yield BIG[at : at + MIB]


def post(address: tuple[str, int], path: str, body: bytes | Iterator[bytes], **headers: str) -> tuple[int, dict, dict]:
    """Send it as Python's own client does: all of the body, and only then a look at the answer."""
    connection = HTTPConnection(*address, timeout=20)
    connection.request("POST", path, body, JSON | headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read()), dict(answer.headers)
    connection.close()
    return found


def test_http_client_reads_the_413(address: tuple[str, int]) -> None:
    status, problem, headers = post(address, "/v1/jobs/log", BIG)
    assert (status, problem["type"], headers["connection"]) == (413, "urn:problem-type:errand:too-large", "close")


def test_a_body_in_chunks_is_a_413_too(address: tuple[str, int]) -> None:
    assert post(address, "/v1/jobs/log", in_pieces())[0] == 413


def test_httpx_reads_the_413(address: tuple[str, int]) -> None:
    url = f"http://{address[0]}:{address[1]}/v1/jobs/log"
    assert httpx2.post(url, content=BIG, headers=JSON).status_code == 413
    assert httpx2.post(url, content=in_pieces(), headers=JSON).status_code == 413


@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]])
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_curl_reads_the_413(address: tuple[str, int], tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "body").write_bytes(BIG)
    url = f"http://{address[0]}:{address[1]}/v1/jobs/log"
    command = ["curl", "-sS", url, "-H", "Content-Type: application/json", "--data-binary", f"@{tmp_path}/body"]
    found = subprocess.run([*command, *options], capture_output=True, check=True, timeout=20)
    assert json.loads(found.stdout)["status"] == 413


def test_a_client_that_asks_first_is_refused_without_a_100(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        head = f"POST /v1/jobs/log HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10 * MIB}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/jobs/log", {"Content-Type": "text/plain"}, 415),
        ("/v1/jobs/log", {"Content-Encoding": "gzip"}, 415),
        ("/v1/jobs/nothing", {}, 404),
        ("/v1/jobs/log?nothing=1", {}, 422),
        ("/nothing", {}, 404),
        ("/livez", {}, 405),
        ("/v1/jobs/log", {"Host": "example.com"}, 421),
    ],
)
def test_whatever_is_refused_before_its_body_is_read_can_be_read(
    address: tuple[str, int], path: str, headers: dict[str, str], status: int
) -> None:
    assert post(address, path, BIG, **headers, Connection="close")[0] == status


def test_urllib_which_closes_each_connection_reads_the_413(address: tuple[str, int]) -> None:
    request = urllib.request.Request(f"http://{address[0]}:{address[1]}/v1/jobs/log", BIG, JSON)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as answer:
        assert (answer.code, json.loads(answer.read())["status"]) == (413, 413)


def test_a_client_that_never_sends_the_rest_is_left_after_a_while(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errand.api.http.unread.SILENT_SECONDS", 0.2)
    with socket.create_connection(address, timeout=10) as connection:
        head = f"POST /v1/jobs/log HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10 * MIB}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_connection_goes_on_after_an_answer_that_came_before_its_body_was_read(address: tuple[str, int]) -> None:
    connection = HTTPConnection(*address, timeout=20)
    for body, status in ((BIG, 404), (b'{"text": "x"}', 202)):
        connection.request("POST", "/v1/jobs/nothing" if status == 404 else "/v1/jobs/log", body, JSON)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) > 0) == (status, True)
    connection.close()
