"""The house's own rules."""

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [*ROOT.glob("jobs/*.py"), *ROOT.glob("service/**/*.py"), ROOT / "worker.py"]
MAY_IMPORT = {
    "jobs": {"jobs"},
    "service/queue": {"jobs", "service.queue"},
    "service/api": {"jobs", "service.queue", "service.api"},
    "service/worker": {"jobs", "service.queue", "service.worker"},
    "service/client": {"service.client"},
}


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Keep what other tests left from being finalized in the middle of `ast.parse`, which CPython 3.11 can't bear."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def find_imports(path: Path) -> set[str]:
    """Return what a file imports of ours, as far as the room: «jobs», «service.api»."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    rooms = {re.sub(r"^(jobs|service\.\w+).*", r"\1", name) for name in names}
    return {room for room in rooms if room == "jobs" or room.startswith("service.")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room: str) -> None:
    for path in (ROOT / room).glob("*.py"):
        assert find_imports(path) <= MAY_IMPORT[room], path.name


def test_only_the_api_knows_fastapi() -> None:
    users = {path.parent.name for path in SOURCES if re.search(r"^\s*(from|import) fastapi", path.read_text(), re.M)}
    assert users == {"api"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_is_read_at_a_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_lock_files_hold_hashes_and_no_url(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9][^\s]*==[^\s]+.*$", text, re.M)
    assert pins
    assert all(pin.rstrip().endswith("\\") for pin in pins)


def test_the_lock_for_development_holds_the_other_one() -> None:
    runtime, development = (
        set(re.findall(r"^[a-z0-9][\w.-]*==[\w.]+", (ROOT / name).read_text(), re.M))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime <= development
