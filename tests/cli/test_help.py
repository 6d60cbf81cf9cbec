"""What `--help` says."""

import re

import pytest

from tests.cli.conftest import run_errand

COMMANDS = (
    *("send", "status", "attempts", "watch", "list", "cancel", "requeue", "delete"),
    *("failures", "schedule", "queues"),
)
CODES = "Exit codes: 0 good; 1 a job that was watched did not finish well; 2 wrong usage; 3 refused by the service;"


def test_every_command_is_named_with_the_setting_that_tells_whom_it_asks() -> None:
    found = run_errand("--help", COLUMNS="80")
    assert all(re.search(rf"│ {name} +\w", found.out) for name in COMMANDS)
    assert "ERRAND_URL is http://127.0.0.1:8000 unless it is set." in " ".join(found.out.split())


@pytest.mark.parametrize("words", [[], ["send"], ["watch"], ["schedule"], ["schedule", "put"], ["queues", "pause"]])
def test_the_exit_codes_are_told(words: list[str]) -> None:
    found = run_errand(*words, "--help", COLUMNS="80")
    assert (found.code, found.err) == (0, "")
    assert CODES in " ".join(found.out.split())
