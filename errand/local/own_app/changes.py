"""Noticing that .py files below a folder have changed, by polling the file system."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

SKIPPED = frozenset({"node_modules", "__pycache__"})
SETTLED_SECONDS = 0.15  # without a change end a burst: an editor or `git checkout` writes several files
SHORTEST_SECONDS, LONGEST_SECONDS = 0.3, 5.0  # between two looks, by how long one takes
SHARE = 150  # a look takes 1/150 of the time between two: with 1,000 files less than 1 % of a core

Files = dict[str, tuple[int, int, int]]


class Changes:
    """Remembers the .py files below `folder`, without those of virtual environments and hidden folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = self._look()

    def find(self) -> list[str]:
        """Return the files that have changed, come or gone since the last call; wait until a burst of changes is over.

        Return [] at once where the last look is too recent for another one.
        """
        if time.monotonic() < self._next_at:
            return []
        files = self._look()
        if files == self._files:
            return []
        while True:
            time.sleep(SETTLED_SECONDS)
            again = self._look()
            if again == files:
                break
            files = again
        before, self._files = self._files, files
        changed = {path for path, _ in before.items() ^ files.items()}
        _forget_compiled(changed)
        return sorted(os.path.relpath(path, self._folder) for path in changed)

    def _look(self) -> Files:
        started_at = time.thread_time()
        files = dict(_list_files(str(self._folder)))
        took_seconds = time.thread_time() - started_at
        self._next_at = time.monotonic() + min(max(took_seconds * SHARE, SHORTEST_SECONDS), LONGEST_SECONDS)
        return files


def _forget_compiled(paths: Iterable[str]) -> None:
    """Remove these files' compiled ones: Python goes by second and size, and misses a quick edit of the same length."""
    for path in paths:
        with suppress(OSError):
            os.unlink(cache_from_source(path))


def _list_files(folder: str) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield each .py file with what changes when it is written: time, size, inode."""
    folders = [folder]
    while folders:
        at = folders.pop()
        with suppress(OSError), os.scandir(at) as entries:  # the folder may have gone meanwhile
            found = list(entries)
            if any(entry.name == "pyvenv.cfg" for entry in found) and at != folder:
                continue
            for entry in found:
                if entry.name.endswith(".py"):
                    with suppress(OSError):
                        stat = entry.stat()
                        yield entry.path, (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                elif (
                    not entry.name.startswith(".") and entry.name not in SKIPPED and entry.is_dir(follow_symlinks=False)
                ):
                    folders.append(entry.path)
