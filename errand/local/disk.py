"""How much room there is on a disk, and how a full one is described."""

import errno
import os
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM_MB = 1.0  # with less, Valkey would end at one of its next writes


def measure_free_mb(folder: Path) -> float:
    """Return the MiB that this user may still write on the disk of a folder, or of its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize / 2**20


def describe_full_disk(folder: Path, free_mb: float) -> str:
    """Return in words that the disk of a folder is full."""
    return f"the disk of {folder}/ is full ({free_mb:.1f} MB free)"
