"""The house's own rules."""

import ast
import gc
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [*ROOT.glob("errand/**/*.py"), *ROOT.glob("jobs/*.py"), *ROOT.glob("service/**/*.py"), ROOT / "worker.py"]
# The rooms from the ground up: each may import those of the lines before it, and itself.
FLOORS = [
    {"errand.redis"},
    {"errand.contract"},
    {"errand", "errand.service_log"},
    {"errand.store"},
    {"errand.mail", "errand.log", "errand.webhook"},
    {"errand.worker", "errand.api", "errand.builtin"},
    {"errand.app"},
    {"errand.fastapi"},
    {"errand.local"},
    {"errand.testing"},
    {"errand.cli"},
    {"jobs", "errand.__main__"},
    {"service", "worker"},
]
# Both of each name are seen outside: in `errand` or `errand.testing`, and as a component of the OpenAPI document.
KNOWN_OUTSIDE = {"Progress", "LogLine"}
# Flat as they are sent or stored: what is grouped there would only be taken apart again.
RECORDS = {"BatchView", "JobFields", "WhyView"}
HEIGHTS = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Keep what other tests left from being finalized in the middle of `ast.parse`, which CPython 3.11 can't bear."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def name_module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_module(path): path for path in SOURCES}


def find_room(module: str) -> str:
    """Return «errand.store» for each module of that folder, «errand» for the public face, «jobs», «service»."""
    return ".".join(module.split(".")[:2]) if module.startswith("errand.") else module.split(".")[0]


def find_imports(module: str) -> set[str]:
    """Return the modules of ours that one imports anywhere in its text, for type checks only as well."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in MODULES else node.module for name in named}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name in MODULES} - {module}


def list_classes() -> list[ast.ClassDef]:
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def list_attributes(found: ast.ClassDef) -> set[str]:
    """Return what its instances have: fields, and what its methods set."""
    fields = {
        node.target.id for node in found.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    places = [node for node in ast.walk(found) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    return fields | {node.attr for node in places if isinstance(node.value, ast.Name) and node.value.id == "self"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    room = find_room(module)
    if module == "errand":
        return  # the face shows what the contract has; nothing below it may use the face
    for imported in find_imports(module):
        other = find_room(imported)
        assert other == room or HEIGHTS[other] < HEIGHTS[room], imported


def test_the_library_does_without_its_own_face() -> None:
    users = {module for module in MODULES if module.startswith("errand.") and "errand" in find_imports(module)}
    assert not users


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: find_imports(module) for module in MODULES if module != "errand"}
    while leaves := {module for module, imported in graph.items() if not imported & graph.keys()}:
        graph = {module: imported for module, imported in graph.items() if module not in leaves}
    assert not graph


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("fastapi", {"errand.api", "errand.app", "service"}),
        ("prometheus_client", {"errand.api"}),
        ("smtplib", {"errand.mail"}),
        ("sqlalchemy", {"jobs"}),
        ("rq_dashboard", {"errand.api"}),
        ("aiosmtpd", {"errand.local"}),
        ("fakeredis", {"errand.testing"}),
    ],
)
def test_a_library_is_known_in_one_room(library: str, rooms: set[str]) -> None:
    pattern = re.compile(rf"^\s*(from|import) {library}\b", re.M)
    assert {find_room(module) for module, path in MODULES.items() if pattern.search(path.read_text())} == rooms


@pytest.mark.parametrize("path", SOURCES, ids=name_module)
def test_a_file_is_read_at_a_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_a_folder_is_looked_over_at_a_glance() -> None:
    folders = [ROOT / "errand", *(path for path in ROOT.glob("errand/**/") if "__pycache__" not in path.parts)]
    files = {str(folder): [path for path in folder.iterdir() if path.is_file()] for folder in folders}
    assert not {folder: len(found) for folder, found in files.items() if len(found) > 20}


def test_no_two_classes_have_one_name() -> None:
    counts = Counter(found.name for found in list_classes())
    assert {name for name, count in counts.items() if count > 1} == KNOWN_OUTSIDE


def test_a_class_is_held_in_mind() -> None:
    large = {found.name for found in list_classes() if len(list_attributes(found)) > 15}
    assert large == RECORDS


@pytest.mark.parametrize("path", SOURCES, ids=name_module)
def test_a_caller_has_to_know_six_parameters_at_most(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg not in ("self", "cls")]
            needed = len(given) - len(node.args.defaults) + node.args.kw_defaults.count(None)
            assert needed <= 6, f"{node.name}, line {node.lineno}"


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
