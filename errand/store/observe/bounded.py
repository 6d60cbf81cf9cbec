"""Unpacking what stands in Redis, as far as it may be large: 200 KB there can say that they are 200 MB."""

import zlib
from collections.abc import Mapping
from typing import Any

from errand.redis import keys

_PACKED = {b"data": keys.DATA_BYTES, b"exc_info": keys.TRACE_BYTES}  # fields of a job's hash that RQ packs


class TooLargeError(ValueError):
    """Raised for what is larger than it may be."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"larger than {limit_bytes:,} bytes")


def unzip(packed: bytes, limit_bytes: int) -> bytes:
    """Return what was packed with zlib, having unpacked no more. Raises TooLargeError, ValueError for what was not."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, limit_bytes + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(text) > limit_bytes:
        raise TooLargeError(limit_bytes)
    if not unpacker.eof:
        raise ValueError("it ends too early")
    return text


def unpack(stored: bytes, limit_bytes: int) -> bytes:
    """Return what was packed, or is not: RQ reads it so, too. Raises TooLargeError."""
    try:
        return unzip(stored, limit_bytes)
    except TooLargeError:
        raise
    except ValueError:
        if len(stored) > limit_bytes:
            raise TooLargeError(limit_bytes) from None
        return stored


def cut_record(record: Mapping[bytes, Any]) -> dict[bytes, Any]:
    """Return the fields of a job's hash with b"" for what RQ would unpack to more than it may be."""
    return {name: b"" if _is_too_large(name, value) else value for name, value in record.items()}


def _is_too_large(name: bytes, value: Any) -> bool:
    try:
        unpack(value, _PACKED[name]) if name in _PACKED else None
    except TooLargeError:
        return True
    return False
