"""What is measured by hand, and by nobody for months, is imported here."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_ENVIRONMENTS = ("bench.systems", "bench.chart")
NAMES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "bench").rglob("*.py")
    if not path.stem.startswith("__")
)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(OWN_ENVIRONMENTS)])
def test_each_module_that_runs_in_the_projects_environment_can_be_imported(name: str) -> None:
    import_module(name)
