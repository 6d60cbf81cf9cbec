"""The server that tests have: a fake one in this process, or the Valkey that comes with Errand."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from errand.local.valkey import EmbeddedValkey
from errand.redis.connection import Connector, UrlConnector
from errand.testing.redis import FakeConnector

FAKE_URL = "redis://errand-jobs.invalid:6379/0"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of the test's own in it; what the server writes need not last


@dataclass(frozen=True)
class RedisServer:
    """Where jobs are kept; one for a whole test process, emptied before each test."""

    connector: Connector
    url: str
    is_fake: bool


@contextmanager
def provide_server(kind: str) -> Iterator[RedisServer]:
    """Provide a server, `fake` or `valkey`. Raises ValueError for another, ServerMissingError."""
    if kind == "fake":
        yield RedisServer(FakeConnector(), FAKE_URL, is_fake=True)
    elif kind == "valkey":
        folder = Path(tempfile.mkdtemp(prefix="errand-", dir=MEMORY if MEMORY.is_dir() else None))
        valkey = EmbeddedValkey(folder / "v")
        try:
            valkey.start()
            yield RedisServer(UrlConnector(valkey.url), valkey.url, is_fake=False)
        finally:
            valkey.stop()
            shutil.rmtree(folder)
    else:
        raise ValueError(f"pytest's ini option errand_server = {kind}; write fake or valkey")
