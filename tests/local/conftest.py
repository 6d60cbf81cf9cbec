"""Starting `errand up` as a process, and ending it with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.running import Running

Start = Callable[..., Running]


@pytest.fixture
def start(project: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `python -m service up` in a folder of its own; what is left ends with the test."""
    started: list[Running] = []

    def begin(*options: str, folder: str = "", **settings: Any) -> Running:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        started.append(Running(project, place, *options, **settings))
        return started[-1]

    yield begin
    for running in started:
        running.clean_up()


@pytest.fixture(scope="module")
def shared_up(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One `errand up` for the tests that leave it as it is."""
    running = Running(project, tmp_path_factory.mktemp("up")).wait_until_ready()
    yield running
    running.clean_up()
