"""The machine that was measured."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from errand.local.valkey import find_program


def describe_machine() -> list[str]:
    """Return what it is, a line each."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    printed = subprocess.run([find_program(), "--version"], capture_output=True, text=True, check=True).stdout
    server = " ".join(word for word in printed.split() if word[:2] not in ("sh", "ma", "bi", "bu"))
    return [
        f"{os.cpu_count()} × {_read_model()}, {memory_bytes / 2**30:.0f} GiB",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"{server} on loopback TCP, `appendfsync everysec` unless a figure says otherwise, no rewrites of its file",
        f"Errand with rq {version('rq')}, redis-py {version('redis')}",
    ]


def _read_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
