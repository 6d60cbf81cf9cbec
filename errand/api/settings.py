"""Settings of the HTTP face."""

import re
from functools import cached_property

from pydantic import Field, field_validator

from errand.redis.settings import Settings, SettingsError

_KEY = re.compile(r"([A-Za-z0-9_.-]+):([0-9a-f]{64})")


class ApiSettings(Settings):
    """Who may call, and what is open without a key.

    `local` is set by `errand up` for the API it starts on a loopback address, and by nobody else.
    """

    api_keys: str = Field("", alias="API_KEYS")
    dashboard_password: str = Field("", alias="DASHBOARD_PASSWORD", repr=False)
    local: bool = Field(False, alias="ERRAND_LOCAL")

    @field_validator("api_keys")
    @classmethod
    def _check(cls, keys: str) -> str:
        for entry in keys.split(",") if keys else []:
            if not _KEY.fullmatch(entry.strip()):
                raise ValueError("each entry is NAME:HASH, with commas between; make one with: errand key NAME")
        return keys

    @cached_property
    def hashes(self) -> list[tuple[str, str]]:
        """Each caller's name and the SHA-256 hash of a secret; a name may have several while one is replaced."""
        entries = self.api_keys.split(",") if self.api_keys else []
        return [(name, hash) for name, _, hash in (entry.strip().partition(":") for entry in entries)]

    def check(self) -> None:
        """Refuse to serve without keys anywhere but under `errand up` on loopback. Raises SettingsError."""
        if not self.hashes and not self.local:
            raise SettingsError(
                "API_KEYS is not set: anyone could post jobs. Make a key with `errand key NAME` and set the line it "
                "prints; without keys Errand runs only under `errand up` on a loopback address"
            )
