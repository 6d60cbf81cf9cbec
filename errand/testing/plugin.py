"""The pytest plugin: the fixture `errand_jobs`. Nothing of Errand is imported before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from errand.testing.jobs import JobsUnderTest
    from errand.testing.server import RedisServer
    from errand.testing.target import Target

NAME = "errand_jobs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two ini options."""
    parser.addini("errand", "the Errand whose jobs are tested, shop.main:errand; by default that of the package jobs")
    parser.addini("errand_server", "fake (in this process) or valkey (a server that the tests start)", default="fake")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Set the fixture up before a test's others, wherever it stands: a client's application must find its server."""
    for item in items:
        if NAME in getattr(item, "fixturenames", ()):
            _bring_forward(item)


@pytest.fixture
def errand_jobs(
    monkeypatch: pytest.MonkeyPatch, _errand_server: RedisServer, _errand_target: Target
) -> Iterator[JobsUnderTest]:
    """The jobs of the application under test: stored as usual, run by `drain()` in this process; docs/testing.md."""
    from errand.testing.jobs import provide_jobs

    with provide_jobs(_errand_target, _errand_server, monkeypatch) as jobs:
        yield jobs


@pytest.fixture(scope="session")
def _errand_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """The server of this test process."""
    from errand.testing.server import provide_server

    with provide_server(request.config.getini("errand_server")) as server:
        yield server


@pytest.fixture(scope="session")
def _errand_target(request: pytest.FixtureRequest) -> Target:
    """What the ini option `errand` names."""
    from errand.testing.target import find_target

    return find_target(request.config.getini("errand"))


def _bring_forward(item: Any) -> None:
    """Put it before the first fixture that the test itself asks for, of those that last as long as a test."""
    names: list[str] = item.fixturenames
    about = item._fixtureinfo
    for place, name in enumerate(names):
        definitions = about.name2fixturedefs.get(name)
        if name == NAME:
            return
        if name in about.argnames and definitions and definitions[-1].scope == "function":
            names.remove(NAME)
            names.insert(place, NAME)
            return
