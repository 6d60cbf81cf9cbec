"""Sessions: signed cookies for those who gave a password; the server keeps no list of them."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass
from functools import cached_property

from errand.api.settings import ApiSettings

COOKIE = "errand_console"
SESSION_SECONDS = 12 * 3600  # a long day's work; renewed while it is used
ROUNDS = 200_000  # whoever has a cookie needs as many for each guess of the password; a key takes 0.1 s, once
CHANGE, READ = "change", "read"


@dataclass(frozen=True)
class Session:
    """What its bearer may do, and until when (seconds since 1970)."""

    role: str
    expires_at: int

    @property
    def may_change(self) -> bool:
        """Whether its bearer may change things."""
        return self.role == CHANGE

    def is_half_over(self, now: float) -> bool:
        """Return whether it is time for a new one."""
        return self.expires_at - now < SESSION_SECONDS / 2


class Sessions:
    """Makes and reads sessions. Another password, or SECRET_KEY, ends those that were made with the old one."""

    def __init__(self, settings: ApiSettings) -> None:
        pairs = ((CHANGE, settings.dashboard_password), (READ, settings.console_read_password))
        self._passwords = {role: password for role, password in pairs if password}
        self._secret_key = settings.secret_key
        self.is_open = settings.local and not self._passwords

    async def prepare(self) -> None:
        """Make the keys, once and in a thread: that takes a tenth of a second for each password."""
        if "_keys" not in self.__dict__:
            await asyncio.to_thread(lambda: self._keys)

    def judge(self, password: str) -> str | None:
        """Return the role that a password opens, None for a wrong one; every one is compared, in constant time."""
        asked = password.encode()
        fits = [role for role, known in self._passwords.items() if hmac.compare_digest(asked, known.encode())]
        return fits[0] if fits else None

    def make(self, role: str, now: float | None = None) -> str:
        """Return a new session as a cookie's value."""
        claim = f"{role}.{int(time.time() if now is None else now) + SESSION_SECONDS}"
        return f"{claim}.{self._sign(claim, role)}"

    def read(self, cookie: str | None, now: float | None = None) -> Session | None:
        """Return the session in a cookie, None where there is none, or it is over, or not ours."""
        claim, _, signature = (cookie or "").rpartition(".")
        role, _, expires_at = claim.partition(".")
        if role not in self._passwords or not hmac.compare_digest(signature.encode(), self._sign(claim, role).encode()):
            return None
        session = Session(role, int(expires_at))
        return session if session.expires_at > (time.time() if now is None else now) else None

    def _sign(self, claim: str, role: str) -> str:
        return hmac.new(self._keys[role], claim.encode(), "sha256").hexdigest()

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        salt = f"errand console {self._secret_key}".encode()
        return {
            role: hashlib.pbkdf2_hmac("sha256", f"{role} {password}".encode(), salt, ROUNDS)
            for role, password in self._passwords.items()
        }
