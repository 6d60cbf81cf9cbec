"""Which code is a job's own, judged by the paths in tracebacks of other machines."""

import re
from functools import lru_cache
from pathlib import Path

from errand.contract.errors import is_own

_PACKAGE = Path(__file__).parents[2]
_LIBRARY = re.compile(r"/lib(64)?/python3(\.\d+)?/")


@lru_cache(maxsize=1024)
def is_own_anywhere(path: str) -> bool:
    """Return whether a file is a job's own: no library's, neither here nor where a worker may have its Python."""
    return is_own(path) and not _LIBRARY.search(path) and not _is_ours(path)


def _is_ours(path: str) -> bool:
    """Return whether it is a file of this package in another place."""
    _, folder, rest = path.rpartition(f"/{_PACKAGE.name}/")
    return bool(folder) and (_PACKAGE / rest).is_file()
