"""The folder in which the local mail server keeps a file for each mail."""

import asyncio
import os
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from errand.api.console.mail.message import Head, Mail, read_head, read_mail
from errand.api.http.problems import Problem

LISTED = 100  # on one page
FOUND_LIMIT = 1000  # of the newest mails: looked through for those of a job
HEADS_KEPT, MAILS_KEPT = 2000, 8  # in memory: a head is short, a mail can have megabytes
SETTLED_NS = 2_000_000_000  # a folder's time of change can be as coarse: a mail may have come since it was read
_NAME = re.compile(r"[0-9]{19}")  # the time in nanoseconds, so names are in order


@dataclass(frozen=True)
class Listed:
    """A page of the list, newest first; `next` is the name after which the older ones follow."""

    heads: list[Head]
    total: int
    next: str | None


class Mails:
    """Reads the folder, in threads. A file never changes, so each is read once and kept in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: tuple[int, list[str]] = (0, [])
        self._read_head = lru_cache(HEADS_KEPT)(read_head)
        self._read_mail = lru_cache(MAILS_KEPT)(read_mail)

    async def read_list(self, before: str = "") -> Listed:
        """Return the newest mails, or those that are older than one."""
        return await asyncio.to_thread(self._list, before)

    async def find_of_job(self, id: str) -> list[Head]:
        """Return the mails of a job, newest first."""
        return await asyncio.to_thread(lambda: [head for head in self._read_heads(FOUND_LIMIT) if head.job == id])

    async def read(self, name: str) -> Mail:
        """Return a mail. Raises Problem 404."""
        path = self.find(name)
        try:
            return await asyncio.to_thread(self._read_mail, path)
        except OSError:
            raise missing_mail(name) from None

    def find(self, name: str) -> Path:
        """Return the file of a mail; no name leads out of the folder. Raises Problem 404."""
        path = self._folder / f"{name}.eml"
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise missing_mail(name)
        return path

    def _list(self, before: str) -> Listed:
        names = self._list_names()
        wanted = [name for name in names if name < before] if before else names
        heads = self._read(wanted[:LISTED])
        return Listed(heads, len(names), wanted[LISTED - 1] if len(wanted) > LISTED else None)

    def _read_heads(self, count: int) -> list[Head]:
        return self._read(self._list_names()[:count])

    def _read(self, names: list[str]) -> list[Head]:
        heads = []
        for name in names:
            try:
                heads.append(self._read_head(self._folder / f"{name}.eml"))
            except OSError:  # it has been deleted, or nobody may read it
                continue
        return heads

    def _list_names(self) -> list[str]:
        """Return the mails' names, newest first; read again where the folder has changed."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:  # no mail has come yet
            return []
        known_ns, names = self._names
        if changed_ns != known_ns or time.time_ns() - changed_ns < SETTLED_NS:
            with os.scandir(self._folder) as entries:
                files = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
                stems = (name.removesuffix(".eml") for name in files if name.endswith(".eml"))
                names = sorted(filter(_NAME.fullmatch, stems), reverse=True)
            self._names = (changed_ns, names)
        return names


def missing_mail(name: str) -> Problem:
    """Return the 404 for a mail that is not there."""
    return Problem(404, "no-such-mail", f"There is no mail {name[:40]!r}; it may have been deleted")
