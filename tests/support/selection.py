"""Which tests run where: `make test` takes the quick ones, `make test-valkey` the thorough ones.

A test that starts processes is thorough. Some are marked as quick, all of their cases or those that the mark names:
these stand in `make test` for the others of their kind. A test that tries very many cases is marked as thorough itself.
The tests of store and API run on a fake server in `make test`, and in `make test-valkey` again on the real one.
"""

import pytest

from tests.support.project import ROOT

FAKED = {"store", "api", "app"}  # folders whose tests run on a fake server
REAL = {"valkey", "own_valkey", "services"}  # fixtures that start a server
PROCESSES = {"services", "start", "shared_up", "site", "own_site", "killed_up"}  # fixtures that start processes
TESTS = ROOT / "tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--valkey`."""
    parser.addoption("--valkey", action="store_true", help="on a real server, what make test does not run so")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the thorough ones, before `-m` is looked at; with `--valkey`, leave out what that does not change."""
    for item in items:
        if _is_thorough(item):
            item.add_marker("thorough")
    if config.getoption("valkey"):
        is_changed = {item: bool(item.get_closest_marker("thorough")) or _may_be_faked(item) for item in items}
        config.hook.pytest_deselected(items=[item for item in items if not is_changed[item]])
        items[:] = [item for item in items if is_changed[item]]


@pytest.fixture
def is_on_fake(request: pytest.FixtureRequest) -> bool:
    """Return whether this test's server is a fake one."""
    return not request.config.getoption("valkey") and _may_be_faked(request.node)


def _is_thorough(item: pytest.Item) -> bool:
    quick = item.get_closest_marker("quick")
    if quick:
        return bool(quick.args) and item.name.partition("[")[2].rstrip("]") not in quick.args
    return bool(PROCESSES & _list_fixtures(item)) or _find_room(item) == "faults"


def _may_be_faked(item: pytest.Item) -> bool:
    return _find_room(item) in FAKED and not item.get_closest_marker("valkey") and not REAL & _list_fixtures(item)


def _find_room(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def _list_fixtures(item: pytest.Item) -> set[str]:
    return set(item.fixturenames) if isinstance(item, pytest.Function) else set()
