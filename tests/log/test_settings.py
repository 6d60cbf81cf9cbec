"""LOG_URL: what it names, and what is refused."""

import pytest
from pydantic import ValidationError

from errand.log.file import Rotation
from errand.log.settings import LogSettings, Place, read_log_settings, read_log_url
from jobs import log


def test_stdout_is_where_lines_go_unless_told_otherwise() -> None:
    assert LogSettings().log_url == "stdout:"


@pytest.mark.parametrize("url", ["", "log.txt", "file:log", "file:log.csv", "stdout", "https://example.com/x.txt"])
def test_a_bad_log_url_says_what_to_write(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LOG_URL", url)
    with pytest.raises(ValidationError) as caught:
        LogSettings()
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("LOG_URL",)
    assert fault["msg"] == ("Value error, write file:NAME.txt (plain lines), file:NAME.jsonl (JSON lines) or stdout:")


@pytest.mark.parametrize(
    ("options", "rotation"),
    [
        ("rotate=100MB&keep=7", Rotation(100_000_000, 7)),
        ("keep=1000&rotate=1gb", Rotation(10**9, 1000)),
        ("rotate=10KiB", Rotation(10_240, 7)),
        ("rotate=1KB", Rotation(1000, 7)),
    ],
)
def test_a_file_may_be_rotated(options: str, rotation: Rotation) -> None:
    assert read_log_url(f"file:a b/log.jsonl?{options}") == Place("a b/log.jsonl", rotation)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "keep=7",
        "rotate=100",
        "rotate=0MB",
        "rotate=-1MB",
        "rotate=1.5MB",
        "rotate=daily",
        "rotate=1MB&keep=0",
        "rotate=1MB&keep=1001",
        "rotate=1MB&keep=x",
        "rotate=1MB&keep=",
        "rotate=1MB&rotate=2MB",
        "rotate=1MB&compress=1",
    ],
)
def test_a_bad_option_says_what_to_write(options: str) -> None:
    with pytest.raises(ValidationError, match=r"write rotate=100MB \(KB, MB, GB or .* and keep=7 \(1 to 1000\)"):
        LogSettings(LOG_URL=f"file:log.txt?{options}")


def test_standard_output_is_not_rotated() -> None:
    with pytest.raises(ValidationError, match="file:NAME"):
        LogSettings(LOG_URL="stdout:?rotate=1MB")


def test_the_settings_are_those_of_the_environment_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_log_settings() is read_log_settings()
    monkeypatch.setenv("LOG_URL", "file:a.txt")
    assert read_log_settings().log_url == "file:a.txt"


def test_workers_are_held_up_by_their_own_hosts_file_or_their_own_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.run.options.service
    output = log.run.options.service()
    monkeypatch.setenv("LOG_URL", "file:/a/log.txt?rotate=1MB")
    file = log.run.options.service()
    assert file.endswith(" /a/log.txt")
    assert output != file
    monkeypatch.setattr("socket.gethostname", lambda: "another.host")
    assert log.run.options.service() == "another.host /a/log.txt"
