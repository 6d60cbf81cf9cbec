"""API keys."""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.api.problems import Problem
from service.api.settings import ApiSettings

bearer = HTTPBearer(auto_error=False, description="A secret made with `errand key NAME`")


def hash_secret(secret: str) -> str:
    """Return the form in which API_KEYS holds a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def make_key(name: str) -> tuple[str, str]:
    """Return a new secret and its entry for API_KEYS."""
    secret = f"errand_{secrets.token_urlsafe(32)}"
    return secret, f"{name}:{hash_secret(secret)}"


async def require_key(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> str:
    """Return the caller's name. Raises Problem 401; every key is compared, in constant time."""
    settings: ApiSettings = request.app.state.settings
    given = hash_secret(credentials.credentials) if credentials else ""
    names = [name for name, known in settings.hashes if hmac.compare_digest(given, known)]
    if not names:
        raise Problem(401, "no-key", "Send a known key: Authorization: Bearer errand_…", {"WWW-Authenticate": "Bearer"})
    return names[0]
