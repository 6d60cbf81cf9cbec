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


class RequireKey(SecurityBase):
    """Lets known keys in, as a dependency that takes the request alone and shows in the document."""

    scheme_name = "HTTPBearer"
    model = HTTPBearer(description="A secret made with `errand key NAME`")

    async def __call__(self, request: Request) -> str:
        """Return the caller's name. Raises Problem 401; every key is compared, in constant time."""
        settings: ApiSettings = request.app.state.settings
        scheme, secret = get_authorization_scheme_param(request.headers.get("Authorization"))
        given = hash_secret(secret) if scheme.lower() == "bearer" else ""
        names = [name for name, known in settings.hashes if hmac.compare_digest(given, known)]
        if not names:
            refusal = "Send a known key: Authorization: Bearer errand_…"
            raise Problem(401, "no-key", refusal, {"WWW-Authenticate": "Bearer"})
        return names[0]


require_key = RequireKey()
