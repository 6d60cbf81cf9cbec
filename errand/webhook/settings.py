"""The settings of webhooks: the URL that hears of all ends, the secrets that sign, and whether private addresses do."""

from base64 import b64decode
from functools import cached_property
from typing import Self

from pydantic import Field, field_validator, model_validator

from errand.redis.settings import Settings, read_current
from errand.webhook.address import check_url

SECRET_BYTES = range(24, 65)  # Standard Webhooks 1.0.0, «Signature scheme»
HOW = "make one with: echo whsec_$(openssl rand -base64 32)"


class WebhookSettings(Settings):
    """Where webhooks go that no job names, and how all of them are signed."""

    allow_private: bool = Field(False, alias="WEBHOOK_ALLOW_PRIVATE")
    webhook_url: str = Field("", alias="WEBHOOK_URL", repr=False)
    webhook_secrets: str = Field("", alias="WEBHOOK_SECRETS", repr=False)

    @field_validator("webhook_secrets")
    @classmethod
    def _check_secrets(cls, secrets: str) -> str:
        for secret in _split(secrets):
            try:
                size = len(b64decode(secret.removeprefix("whsec_"), validate=True))
            except ValueError:
                size = 0
            if not secret.startswith("whsec_") or size not in SECRET_BYTES:
                raise ValueError(f"each secret is whsec_ and 24 to 64 bytes in base64, with commas between; {HOW}")
        return secrets

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.webhook_url:
            try:
                check_url(self.webhook_url, self.allow_private)
            except ValueError as error:
                raise ValueError(f"WEBHOOK_URL: {error}") from None
            if not self.secrets:
                raise ValueError(f"WEBHOOK_URL needs WEBHOOK_SECRETS, which sign what is sent; {HOW}")
        return self

    @cached_property
    def secrets(self) -> list[str]:
        """The secrets: each signs, so that receivers may change from one to the next."""
        return _split(self.webhook_secrets)


def read_webhook_settings() -> WebhookSettings:
    """Return the settings of the environment as it is now. Raises pydantic's ValidationError."""
    return read_current(WebhookSettings)


def _split(secrets: str) -> list[str]:
    return [secret.strip() for secret in secrets.split(",") if secret.strip()]
