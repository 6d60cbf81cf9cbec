"""Whether there is room on a disk."""

import errno
import os
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
ROOM_MB = 1.0  # with less Valkey ends at its next write


def measure_free_mb(folder: Path) -> float:
    """Return how much room this user has on the disk of a folder, or of the nearest one above that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize / 2**20


def describe_full_disk(folder: Path, free_mb: float) -> str:
    """Return in words that the disk of a folder is full."""
    return f"the disk of {folder}/ is full ({free_mb:.1f} MB free)"
