"""Unpacking no more than there may be."""

import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from errand.redis import keys
from errand.store.observe.bounded import TooLargeError, cut_record, unpack, unzip

LIMIT = 1000


def test_what_was_packed_is_unpacked_up_to_its_limit() -> None:
    whole = b"a" * LIMIT
    assert unpack(zlib.compress(whole), LIMIT) == unzip(zlib.compress(whole), LIMIT) == whole
    assert unpack(zlib.compress(b""), LIMIT) == b""


@pytest.mark.parametrize("read", [unpack, unzip])
def test_what_is_larger_is_refused(read: Callable[[bytes, int], bytes]) -> None:
    with pytest.raises(TooLargeError, match=r"^larger than 1,000 bytes$"):
        read(zlib.compress(b"a" * (LIMIT + 1)), LIMIT)


@pytest.mark.parametrize("stored", [b"", b'["a"]', b"\x78\x9c", zlib.compress(b"abcdef")[:-3], b"\x00" * LIMIT])
def test_what_is_not_packed_is_read_as_it_is_or_refused(stored: bytes) -> None:
    assert unpack(stored, LIMIT) == stored
    with pytest.raises(ValueError):
        unzip(stored, LIMIT)


def test_what_is_not_packed_has_the_same_limit() -> None:
    with pytest.raises(TooLargeError):
        unpack(b"{" * (LIMIT + 1), LIMIT)


def test_a_record_is_left_with_what_may_be_unpacked() -> None:
    small, large = zlib.compress(b"[]"), zlib.compress(b"a" * (keys.DATA_BYTES + 1))
    record = {b"data": large, b"exc_info": small, b"origin": b"email"}
    assert cut_record(record) == {**record, b"data": b""}
    assert cut_record({b"data": small, b"exc_info": large}) == {b"data": small, b"exc_info": b""}


def test_much_is_never_unpacked_whole() -> None:
    packed = zlib.compress(b"\0" * 50 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpack(packed, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
