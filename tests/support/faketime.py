"""Hosts whose clocks are wrong: processes under libfaketime, whose monotonic time stays right."""

from pathlib import Path

import pytest

from tests.support.project import ROOT


def fake(offset: str) -> dict[str, str]:
    """Return the environment of a process whose host's clock is off by `offset`, such as `+2h` or `-10m`."""
    return {**_preload(), "FAKETIME": offset}


def fake_by(file: Path) -> dict[str, str]:
    """Return the environment of a process whose host's clock is off by what is in `file`, which may change."""
    return {**_preload(), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def _preload() -> dict[str, str]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime: apt install faketime")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(ROOT / "tests/fixtures/faketime"),
    }
