"""Routes that many requests take, without what FastAPI does for those that need it."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """Calls the endpoint with the request and the path's parameters alone where there is no query.

    All else that such an endpoint declares are query parameters with defaults, and to find that out anew for each
    request costs FastAPI more than storing a job does. Its dependencies take the request alone and come first.
    """

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return what serves a request."""
        solve = super().get_route_handler()
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        checks = [check for dependency in self.dependencies if (check := dependency.dependency)]

        async def serve(request: Request) -> Response:
            if request.scope["query_string"]:
                return await solve(request)
            for check in checks:
                await check(request)
            return await endpoint(request, **request.path_params)

        return serve
