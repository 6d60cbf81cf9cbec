"""The web process of `errand up MODULE:NAME`: `python -m errand.local.own_app.web DESCRIPTOR MODULE:NAME [APP]`.

The parent keeps the socket open: a client that connects during a restart waits, and is not refused.
"""

import asyncio
import socket
import sys

import uvicorn

from errand.app.find import find_app

GRACE_SECONDS = 2  # for requests in progress, some of which are streams that never end
READ_SECONDS = 0.2  # in which a client that has connected sends its request
NOT_STARTED = 3  # uvicorn's own exit code for an application that does not start


class GracefulServer(uvicorn.Server):
    """uvicorn's server, which at its end would drop connections that it has accepted but not yet read."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, let those that are open send their requests, and end as uvicorn does."""
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
