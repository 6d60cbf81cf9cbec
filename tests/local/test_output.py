"""What `errand up` makes of its processes' lines."""

import io
import sys
from pathlib import Path

import pytest

from errand.local.processes import ProcessOutput


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_what_matters_in_colour_and_the_file_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    output = ProcessOutput(tmp_path / "errand.log", width=3)
    output.say("web", "WARNING: no keys")
    output.say("web", "ready")
    output.close()
    assert "| \033[33mWARNING: no keys\033[0m\n" in screen.getvalue()
    assert screen.getvalue().endswith("| ready\n")
    assert "\033" not in (tmp_path / "errand.log").read_text()
