"""The API under a path: mounted in another application, or behind a proxy before uvicorn's `--root-path`."""

from collections.abc import Callable

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


def mount_at(*paths: str) -> Callable[[FastAPI], ASGIApp]:
    """Return what mounts an application in another one, and that in the next; the last path is the outermost."""

    def mount(app: FastAPI) -> ASGIApp:
        for path in paths:
            host = FastAPI()
            host.mount(path, app)
            app = host
        return app

    return mount


def serve_behind(root_path: str, *, strips: bool) -> Callable[[FastAPI], ASGIApp]:
    """Return what does as a proxy that strips `root_path`, or does not, and `uvicorn --root-path` behind it."""

    def wrap(app: FastAPI) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope["path"]
            if strips:
                path = path.removeprefix("/" + root_path.strip("/"))
            await app({**scope, "root_path": root_path, "path": root_path + path}, receive, send)

        return serve

    return wrap


def set_root_path(root_path: str) -> Callable[[FastAPI], ASGIApp]:
    """Return what does as a server that sets the root path and leaves the path as it came, stripped (Hypercorn)."""

    def wrap(app: FastAPI) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "root_path": root_path, "path": scope["path"].removeprefix(root_path)}, receive, send)

        return serve

    return wrap
