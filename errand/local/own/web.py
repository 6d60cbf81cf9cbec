"""The web process of `errand up MODULE:NAME`: `python -m errand.local.own.web DESCRIPTOR MODULE:NAME [APP]`.

The socket is the parent's and outlives this process: what connects while it starts anew waits, and is not refused.
"""

import asyncio
import socket
import sys

import uvicorn

from errand.app.find import find_app

GRACE_SECONDS = 2  # for what is being answered, a stream that never ends among it
READ_SECONDS = 0.2
NOT_STARTED = 3  # uvicorn's own exit code for it


class GracefulServer(uvicorn.Server):
    """uvicorn's server, which would close a connection that it has taken and not yet read a request from."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, read what those that are there want, and end as uvicorn does."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(READ_SECONDS)
        await super().shutdown(sockets)


def serve(descriptor: int, target: str, named: str | None = None) -> None:
    """Serve the application until SIGTERM. Ends the process where it does not start."""
    found = find_app(target, named)
    config = uvicorn.Config(
        found.app,
        factory=found.is_factory,
        interface="wsgi" if found.is_wsgi else "auto",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = GracefulServer(config)
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
