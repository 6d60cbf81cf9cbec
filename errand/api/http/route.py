"""Routes that many requests take, without what FastAPI does for those that need it."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from errand.api.http.query import refuse_unknown


class DirectRoute(APIRoute):
    """Calls the endpoint with only the request and the path's parameters where there is no query.

    All else that such an endpoint declares are query parameters with defaults, and finding that out anew for each
    request costs FastAPI more than storing a job does. Its dependencies take only the request and come first.
    """

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return what serves a request."""
        solve = super().get_route_handler()
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        checks = [check for one in self.dependencies if (check := one.dependency) not in (None, refuse_unknown)]

        async def serve(request: Request) -> Response:
            if request.scope["query_string"]:
                return await solve(request)
            for check in checks:
                await check(request)
            return await endpoint(request, **request.path_params)

        return serve
