"""API keys."""

import hashlib
import hmac
import secrets

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from errand.api.http.problems import Problem
from errand.api.settings import ApiSettings


def hash_secret(secret: str) -> str:
    """Return the form in which API_KEYS holds a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def make_key(name: str) -> tuple[str, str]:
    """Return a new secret and its entry for API_KEYS."""
    secret = f"errand_{secrets.token_urlsafe(32)}"
    return secret, f"{name}:{hash_secret(secret)}"


METRICS = "metrics"  # the name of keys that open /metrics and nothing else


class RequireKey(SecurityBase):
    """Lets known keys in: a dependency that takes only the request, and shows in the OpenAPI document.

    A key whose name is `metrics` is let in only with `for_metrics`: what scrapes need not be able to post.
    """

    scheme_name = "HTTPBearer"
    model = HTTPBearer(description="A secret made with `errand key NAME`")

    def __init__(self, for_metrics: bool = False) -> None:
        self._for_metrics = for_metrics

    async def __call__(self, request: Request) -> str:
        """Return the caller's name. Raises Problem 401 and 403. Every key is compared, in constant time."""
        names = _find_names(request)
        if not names:
            refusal = "Send a known key: Authorization: Bearer errand_…"
            raise Problem(401, "no-key", refusal, {"WWW-Authenticate": "Bearer"})
        wider = [name for name in names if name != METRICS]
        if not wider and not self._for_metrics:
            raise Problem(403, "metrics-key", "This key opens only /metrics; make another one with `errand key NAME`")
        return (wider or names)[0]


def is_known(request: Request) -> bool:
    """Return whether the caller may see everything: it has sent a known key, or none is set."""
    return not request.app.state.settings.hashes or any(name != METRICS for name in _find_names(request))


def _find_names(request: Request) -> list[str]:
    settings: ApiSettings = request.app.state.settings
    scheme, secret = get_authorization_scheme_param(request.headers.get("Authorization"))
    given = hash_secret(secret) if scheme.lower() == "bearer" else ""
    return [name for name, known in settings.hashes if hmac.compare_digest(given, known)]


require_key = RequireKey()
require_metrics_key = RequireKey(for_metrics=True)
