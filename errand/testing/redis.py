"""A Redis without a server: fakeredis, made to run Errand's scripts.

    connector = FakeConnector()
    app = build_api(settings, queue, types, connector)
    redis = connector.connect(WORKER)  # looks at what the application stored

It is not Redis: it has no memory limit, no persistence, and no server that could go away; its scripts are slow, refuse
text that is not UTF-8 and write an empty table as `[]`. What depends on these needs a real one.
"""

import time
from collections.abc import Awaitable
from hashlib import sha1
from typing import Any

try:
    import lupa  # type: ignore[import-untyped]  # noqa: F401 - scripts need it, and fakeredis says so only when the first one runs
    from fakeredis import FakeRedis, FakeServer
    from fakeredis.aioredis import FakeRedis as AsyncFakeRedis
except ImportError as error:
    raise ImportError(f"errand.testing needs fakeredis with Lua: pip install 'rq-errand[testing]' ({error})") from error
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from errand.redis.connection import WORKER, Limits

VERSION = (7, 4)  # whose commands it has; 7.0 is the least that Errand runs on
# What Errand reads of INFO, which fakeredis does not answer: no append-only file, no limit of memory.
INFO = {
    "redis_version": f"{VERSION[0]}.{VERSION[1]}.0",
    "aof_enabled": 0,
    "used_memory": 1_000_000,
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
}
_SENDS_SCRIPT = ("EVAL", "SCRIPT LOAD")


class FakeConnector:
    """Makes clients of one server in this process, empty at first; a `Connector` for whatever takes one."""

    def __init__(self) -> None:
        self._server = FakeServer(version=VERSION)
        self.connect(WORKER).eval("return 1", 0)  # makes its interpreter
        _add_sha1hex(self._server)

    def connect(self, limits: Limits) -> Redis:
        """Return a client; nothing here takes long enough for a limit."""
        return _Client(server=self._server)

    def connect_async(self, limits: Limits) -> AsyncRedis:
        """Return an asynchronous client."""
        return _AsyncClient(server=self._server, client_name="errand-api")


def _add_sha1hex(server: Any) -> None:
    """Give scripts `redis.sha1hex`, which fakeredis 2.40 lacks."""
    functions = server._lua_runtime.globals()[b"redis"]
    if functions[b"sha1hex"] is None:
        functions[b"sha1hex"] = lambda text: sha1(text).hexdigest().encode()  # noqa: S324 - as Redis has it


def _describe_server() -> dict[str, Any]:
    return {**INFO, "server_time_usec": time.time_ns() // 1000}


class _Adapting:
    """Sends scripts without the line `#!lua flags=…`, which fakeredis can't read; their sha is that of what is sent."""

    def register_script(self, script: Any) -> Any:
        return super().register_script(_adapt(script))  # type: ignore[misc]

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] in _SENDS_SCRIPT:
            args = (args[0], _adapt(args[1]), *args[2:])
        return super().execute_command(*args, **options)  # type: ignore[misc]


class _Client(_Adapting, FakeRedis):
    def info(self, section: str | None = None, *args: str, **options: Any) -> Any:
        return _describe_server()


class _AsyncClient(_Adapting, AsyncFakeRedis):  # type: ignore[misc]
    async def _info(self) -> dict[str, Any]:
        return _describe_server()

    def info(self, section: str | None = None, *args: str, **options: Any) -> Awaitable[Any]:
        return self._info()


def _adapt(script: str | bytes) -> str | bytes:
    """Return the script with a comment in that line's place, so that errors name the right lines."""
    if isinstance(script, str) and script.startswith("#!lua"):
        return f"--{script}"
    return script  # RQ's own are bytes
