"""Which quick tests reach which line in their own process, and how long each takes: gathered once, under coverage."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

Reach = dict[str, Any]


class Gathering:
    """A plugin of pytest that writes `reach.json`."""

    def __init__(self, root: Path, into: Path) -> None:
        self._root, self._into = root, into
        self._seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(data_file=None, source_pkgs=["errand"], config_file=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note what runs from here on under this test's name."""
        self._coverage.switch_context(item.nodeid)
        yield
        self._coverage.switch_context("")
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up what a test takes."""
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write all of it."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        for path in data.measured_files():
            found = data.contexts_by_lineno(path)
            named = {
                line: [test for test in tests if test and test not in self._failed] for line, tests in found.items()
            }
            lines[str(Path(path).relative_to(self._root))] = named
        self._into.write_text(json.dumps({"seconds": self._seconds, "lines": lines}))


def gather(root: Path, into: Path, options: list[str]) -> None:
    """Run the tests once."""
    pytest.main(options, plugins=[Gathering(root, into)])


def choose(reach: Reach, path: str, lines: range, room: str, most_seconds: float) -> list[str]:
    """Return the tests that reach one of these lines: the room's own for half of the time, and then others."""
    found = {test for line in lines for test in reach["lines"].get(path, {}).get(str(line), [])}
    own = {test for test in found if test.startswith(f"tests/{room}/")}
    chosen: list[str] = []
    for tests, seconds in ((own, most_seconds / 2), (found - own, most_seconds)):
        for test in sorted(tests, key=reach["seconds"].__getitem__):
            if chosen and sum(reach["seconds"][each] for each in chosen) + reach["seconds"][test] > seconds:
                break
            chosen.append(test)
    return chosen
