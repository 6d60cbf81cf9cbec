"""RQ's commands, read."""

import pytest

from errand.worker.processes.command import Command, read_command


@pytest.mark.parametrize(
    ("execution", "member", "meant"),
    [
        (None, "job:a", True),
        ("a", "job:a", True),
        ("a", "job:b", False),
        (None, "other:a", False),
        (None, "a:job", False),
    ],
)
def test_which_execution_a_command_means(execution: str | None, member: str, meant: bool) -> None:
    assert Command("stop-job", "job", execution).means(member) == meant


@pytest.mark.parametrize("message", [b"\xff", b"[]", b"{}", b"null", b"1"])
def test_one_that_cannot_be_read_asks_for_nothing(message: bytes) -> None:
    assert read_command(message) == Command()
