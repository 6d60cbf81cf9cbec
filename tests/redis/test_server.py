"""What is said of a Redis by how it keeps what it acknowledges, on real servers."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis, RedisError

from errand.local.valkey import find_free_port, find_program
from errand.redis.connection import connect
from errand.redis.server import Durability, EvictingServerError, check_server
from tests.support.services import Services
from tests.support.waiting import wait_until

AOF = "appendonly yes"
Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with these lines of configuration; returns its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*lines: str, user: str = "") -> str:
        socket = tmp_path / "s"
        configuration = "\n".join([f"dir {tmp_path}", "port 0", f"unixsocket {socket}", 'save ""', *lines])
        log = tmp_path / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen([find_program(), "-"], stdin=subprocess.PIPE, stdout=out, stderr=out)
        started.append(process)
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(configuration.encode())
        url = f"unix://{user}{socket}"
        wait_until(lambda: process.poll() is not None or _answers(url))
        assert process.poll() is None, log.read_text()
        return url

    yield begin
    for process in started:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except RedisError:
        return False


def check(url: str) -> Durability:
    async def ask() -> Durability:
        async with connect(url) as redis:
            return await check_server(redis)

    return asyncio.run(ask())


def test_a_file_synced_at_every_write_survives_a_power_cut(serve: Serve) -> None:
    found = check(serve(AOF, "appendfsync always"))
    assert found == Durability(True, "every write is on disk before it is acknowledged")


def test_a_file_synced_every_second_does_not(serve: Serve) -> None:
    found = check(serve(AOF, "appendfsync everysec"))
    assert found == Durability(False, "appendfsync is everysec: a power cut loses about the last second")


def test_a_file_that_is_never_synced_is_reported_as_such(serve: Serve) -> None:
    found = check(serve(AOF, "appendfsync no"))
    assert found == Durability(False, "appendfsync is no: a power cut loses what the system had not yet written")


def test_without_an_append_only_file_it_does_not(serve: Serve) -> None:
    found = check(serve("appendonly no"))
    assert found.survives_power_cut is False
    assert "no append-only file" in found.reason


@pytest.mark.parametrize(
    ("line", "user"),
    [('rename-command CONFIG ""', ""), ("user guest on >secret ~* &* +@all -config", "guest:secret@")],
)
def test_where_config_is_forbidden_it_is_unknown(serve: Serve, line: str, user: str) -> None:
    found = check(serve(AOF, "appendfsync always", line, user=user))
    assert found.survives_power_cut is None
    assert "does not say how often it is synced" in found.reason


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_evicts_is_refused(serve: Serve, policy: str) -> None:
    with pytest.raises(EvictingServerError) as caught:
        check(serve(AOF, f"maxmemory-policy {policy}"))
    assert str(caught.value) == (
        f"REDIS_URL: the server's maxmemory-policy is {policy}: it may throw jobs away to make room. "
        f"Set it to noeviction"
    )


def test_a_server_that_is_away_is_a_redis_error(tmp_path: Path) -> None:
    with pytest.raises(RedisError):
        check(f"redis://127.0.0.1:{find_free_port()}/0")


@pytest.mark.quick
def test_the_api_refuses_to_start_on_a_server_that_evicts(serve: Serve, services: Services) -> None:
    url = serve(AOF, "maxmemory-policy allkeys-lru")
    factory = ["--factory", "service.app:from_environment", "--port", str(find_free_port())]
    api = services.run(sys.executable, "-m", "uvicorn", *factory, REDIS_URL=url)
    assert api.wait(20) != 0
    said = services.read_log(api)
    assert "maxmemory-policy is allkeys-lru" in said
    assert "Traceback" not in said
