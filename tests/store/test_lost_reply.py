"""A reply that is lost on the way: redis-py sends again, and there is one job."""

import asyncio
from urllib.parse import urlsplit

import pytest
from redis import Redis

from errand.store.enqueue import Enqueuer
from errand.store.new_job import NewJob
from errand.store.settings import QueueSettings
from tests.support.connectors import connect
from tests.support.job_types import LOG, TYPES


class Proxy:
    """Passes everything on, and cuts the connection instead of the first reply to a script."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.cuts = 0

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass, "127.0.0.1", 0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._path)
        if self.cuts:  # many replies may come in several pieces
            await asyncio.gather(_copy(reader, behind_writer), _copy(behind_reader, writer))
            return
        while request := await reader.read(65536):
            behind_writer.write(request)
            answer = await behind_reader.read(65536)
            if b"EVALSHA" in request and not answer.startswith(b"-NOSCRIPT") and not self.cuts:
                self.cuts += 1
                break
            writer.write(answer)
        writer.close()
        behind_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.valkey
def test_it_is_sent_again_and_there_is_one_job(redis: Redis, queue_settings: QueueSettings) -> None:
    new = NewJob(LOG, {"text": "x"})

    async def main() -> tuple[list[str], int]:
        proxy = Proxy(urlsplit(queue_settings.redis_url).path)
        server = await proxy.serve()
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server:
            statuses = await Enqueuer(client, queue_settings, TYPES).store([new])
            await client.aclose()
        return statuses, proxy.cuts

    assert asyncio.run(main()) == (["queued"], 1)
    assert redis.lrange("rq:queue:log", 0, -1) == [new.id.encode()]
    assert redis.scard("rq:queues") == 1
