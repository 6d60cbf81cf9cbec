"""How large a mail may be."""

from collections.abc import Callable

from pydantic import ByteSize, Field, ValidationError, field_validator

from errand.redis.settings import Settings, read_current


class MailSize(Settings):
    """How large the body of a request that posts mail may be; attachments grow by a third in it (base64)."""

    mail_max_bytes: ByteSize = Field(ByteSize(10 * 1024 * 1024), alias="MAIL_MAX_BYTES", ge=1024)

    @field_validator("mail_max_bytes", mode="wrap")
    @classmethod
    def _check(cls, value: object, read: Callable[[object], ByteSize]) -> ByteSize:
        try:
            return read(value)
        except ValidationError:
            raise ValueError("write a number of bytes, 1024 at least: 10485760, 10MiB or 25MB") from None


def read_mail_max_bytes() -> int:
    """Return MAIL_MAX_BYTES of the environment as it is now. Raises pydantic's ValidationError."""
    return read_current(MailSize).mail_max_bytes
