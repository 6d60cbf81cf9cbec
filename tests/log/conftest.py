"""Where the tests of the log let it write."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Open = Callable[..., Path]

# A process that may write 1,000 bytes and no more for a while, and says on stderr what was raised.
LIMITED = """
import resource, sys
from errand import ServiceDownError
from jobs import log
log.run("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    log.run("x" * 5000)
except ServiceDownError as error:
    print(error, file=sys.stderr)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.run("after")
"""


@pytest.fixture
def open_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Points LOG_URL to a file of that name, with the options given."""

    def open_log(name: str, options: str = "") -> Path:
        monkeypatch.setenv("LOG_URL", f"file:{tmp_path / name}{options}")
        return tmp_path / name

    return open_log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, which only root can mount; other tests use LIMITED instead."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
