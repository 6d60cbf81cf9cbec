"""Settings of the HTTP API."""

import re
from functools import cached_property

from pydantic import Field, field_validator

from errand.redis.settings import Settings, SettingsError

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_KEY = re.compile(r"([A-Za-z0-9_.-]+):([0-9a-f]{64})")


class ApiSettings(Settings):
    """Who may call, and what is open without a key.

    Only `errand up` sets `local`, for the API that it starts on a loopback address, and `mail_folder`, where its mail
    server runs.
    """

    api_keys: str = Field("", alias="API_KEYS")
    dashboard_password: str = Field("", alias="DASHBOARD_PASSWORD", repr=False)
    console_read_password: str = Field("", alias="CONSOLE_READ_PASSWORD", repr=False)
    secret_key: str = Field("", alias="SECRET_KEY", repr=False)
    cors_origins: str = Field("", alias="CORS_ORIGINS")
    local: bool = Field(False, alias="ERRAND_LOCAL")
    mail_folder: str = Field("", alias="ERRAND_MAIL_FOLDER")

    @field_validator("api_keys")
    @classmethod
    def _check(cls, keys: str) -> str:
        for entry in keys.split(",") if keys else []:
            if not _KEY.fullmatch(entry.strip()):
                raise ValueError("each entry is NAME:HASH, with commas between; make one with: errand key NAME")
        return keys

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: str) -> str:
        for origin in _split(origins):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "each entry is an origin as browsers send it, https://app.example.com or http://localhost:3000: "
                    "in lower case, without a path or a / at its end; with commas between"
                )
            if (origin.startswith("https:") and origin.endswith(":443")) or (
                origin.startswith("http:") and origin.endswith(":80")
            ):
                raise ValueError("browsers leave a scheme's own port out of an origin; leave out :443 and :80")
        return origins

    @cached_property
    def origins(self) -> list[str]:
        """The origins whose pages may call the API; `*` is all."""
        return _split(self.cors_origins)

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
        if self.dashboard_password and self.dashboard_password == self.console_read_password:
            raise SettingsError(
                "CONSOLE_READ_PASSWORD is the same as DASHBOARD_PASSWORD, which may change everything. Take another one"
            )
        if "*" in self.origins and not self.hashes:
            raise SettingsError(
                "CORS_ORIGINS is * and API_KEYS is not set: any page in this machine's browsers could read every job. "
                "Name the origins, or set API_KEYS as well"
            )


def _split(entries: str) -> list[str]:
    return [entry.strip() for entry in entries.split(",")] if entries.strip() else []
