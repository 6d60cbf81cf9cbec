"""What processes take, as /proc has it. Linux alone."""

import os
from pathlib import Path


def list_tree(pid: int) -> list[int]:
    """Return the ids of a process and of everything below it."""
    tree = [pid]
    for each in tree:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            tree += map(int, children.read_text().split())
    return tree


def read_cpu(*pids: int) -> float:
    """Return the seconds of CPU that processes have taken."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def read_name(pid: int) -> str:
    """Return a process's name."""
    return _read_status(pid)["Name"].strip()


def read_memory_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    return int(_read_status(pid)["VmRSS"].split()[0]) * 1024


def read_peak_bytes(pid: int) -> int:
    """Return the most resident memory that a process has had."""
    return int(_read_status(pid)["VmHWM"].split()[0]) * 1024


def read_pss_bytes(pid: int) -> int:
    """Return a process's proportional set size: what it shares with others counts in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read_status(pid: int) -> dict[str, str]:
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
