"""Gives the memory of large payloads back to the system once they are freed."""

import ctypes
import os
import sys

LARGE_BYTES = 1024 * 1024  # few payloads are larger, so few of them cost extra system calls
_M_MMAP_THRESHOLD = -3  # malloc.h


def give_back_large_blocks() -> None:
    """Let glibc take blocks of a megabyte and more from the system one by one, and give them back when they are freed.

    By itself glibc raises that limit to the size that was freed last, up to 32 MB (mallopt(3)), and from then on keeps
    such blocks with the thread that had them: a worker with 16 threads kept some 400 MB after mails of 5 MB. Other
    systems are left as they are.
    """
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
