"""A log file: lines on a full disk, after a crash, beside other writers, and rotated."""

import errno
import itertools
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from errand import ServiceDownError
from errand.log.file import FileSink, Rotation
from errand.log.line import LogLine, format_plain
from jobs import log
from tests.conftest import ROOT
from tests.log.conftest import LIMITED, Open


def tear(monkeypatch: pytest.MonkeyPatch, number: int, written: int) -> None:
    """Let the next write take so many bytes, and the one after it fail."""
    left = [written]

    def write(descriptor: int, data: bytes) -> int:
        if not left:
            monkeypatch.setattr(os, "write", real)
            raise OSError(number, os.strerror(number))
        return real(descriptor, data[: left.pop()])

    real = os.write
    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("fault", ["ENOSPC", "EDQUOT", "EFBIG", "EIO"])
@pytest.mark.parametrize("before", ["", "whole\n", "unfinished"])
def test_a_torn_line_is_taken_back(open_log: Open, monkeypatch: pytest.MonkeyPatch, before: str, fault: str) -> None:
    path = open_log("log.txt")
    path.write_text(before)
    number = getattr(errno, fault)
    tear(monkeypatch, number, 3)
    with pytest.raises(ServiceDownError) as caught:
        log.run("torn")
    assert str(caught.value) == f"the log file {path} can't be written: {os.strerror(number)}"
    assert path.read_text() == before


def test_an_interruption_takes_back_as_well(open_log: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    path = open_log("log.txt")
    log.run("whole")
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) < len("torn, and long\n"):
            raise KeyboardInterrupt
        return real(descriptor, data[:3])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(KeyboardInterrupt):
        log.run("torn, and long")
    assert path.read_text() == "whole\n"


def test_what_another_program_adds_meanwhile_is_not_taken_back(open_log: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    path = open_log("log.txt")
    tear(monkeypatch, errno.ENOSPC, 4)
    torn = os.write

    def write(descriptor: int, data: bytes) -> int:
        if path.stat().st_size == 4:
            with path.open("a") as other:
                other.write("another\n")
        return torn(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ServiceDownError):
        log.run("tornline")
    assert path.read_text() == "tornanother\n"


def test_an_unfinished_last_line_is_closed_first(open_log: Open) -> None:
    path = open_log("log.txt")
    path.write_text("a crash left th")
    log.run("next")
    assert path.read_text() == "a crash left th\nnext\n"


def test_a_process_limit_of_file_sizes_tears_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    environment = {"LOG_URL": f"file:{path}", "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", LIMITED], env=environment, capture_output=True, text=True, check=True)
    assert said.stderr == f"the log file {path} can't be written: File too large\n"
    assert path.read_text() == "before\nafter\n"


def test_a_full_disk_tears_no_line(open_log: Open, small_disk: Path) -> None:
    path = small_disk / "log.txt"
    open_log(str(path))
    log.run("before")
    (small_disk / "other").write_bytes(bytes(1_000_000))
    with pytest.raises(ServiceDownError, match="No space left on device"):
        log.run("x" * 90_000)
    assert path.read_text() == "before\n"
    (small_disk / "other").unlink()
    log.run("after")
    assert path.read_text() == "before\nafter\n"


def test_a_file_that_takes_nothing_is_no_fault_of_the_line(open_log: Open) -> None:
    open_log("full.txt").symlink_to("/dev/full")
    with pytest.raises(ServiceDownError, match="No space left on device"):
        log.run("text")


def test_a_file_that_is_a_folder_is_no_fault_of_the_line(open_log: Open) -> None:
    open_log("log.txt").mkdir()
    with pytest.raises(ServiceDownError, match="Is a directory"):
        log.run("text")


def test_a_file_that_may_be_written_and_not_read_is_written(open_log: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    path = open_log("log.txt")
    path.write_text("before\n")
    open_file = os.open

    def refuse_reading(path: str, flags: int, *mode: int) -> int:
        if flags == os.O_RDONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse_reading)
    log.run("text")
    monkeypatch.undo()
    assert path.read_text() == "before\ntext\n"


def test_a_file_that_was_renamed_while_its_lock_was_waited_for_gets_no_line(
    open_log: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = open_log("log.txt")
    path.write_text("old\n")

    def lock(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        path.rename(path.with_suffix(".1"))

    monkeypatch.setattr("errand.log.file.fcntl.flock", lock)
    write(path, "new")
    assert path.read_text() == "new\n"
    assert path.with_suffix(".1").read_text() == "old\n"


def test_a_file_that_is_replaced_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.txt"
    monkeypatch.setattr("errand.log.file.fcntl.flock", lambda *_: path.unlink())
    with pytest.raises(OSError, match="replaced by others again and again"):
        write(path, "new")


def test_a_file_of_the_size_is_put_aside_and_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    for number in range(1, 6):
        write(path, f"{number}" * 5, Rotation(limit_bytes=10, keep=2))
    assert read(tmp_path) == {"log.txt": "55555\n", "log.txt.1": "44444\n", "log.txt.2": "33333\n"}


def test_lines_that_fit_exactly_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    for text in ("1234", "6789", "1"):
        write(path, text, Rotation(limit_bytes=10, keep=2))
    assert read(tmp_path) == {"log.txt": "1\n", "log.txt.1": "1234\n6789\n"}


def test_lines_that_are_longer_than_the_limit_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    for _ in range(2):
        write(path, "x" * 50, Rotation(limit_bytes=10, keep=1))
    assert read(tmp_path) == {"log.txt": "x" * 50 + "\n", "log.txt.1": "x" * 50 + "\n"}


def test_a_rotation_that_was_cut_off_loses_nothing_at_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("new\n")
    (tmp_path / "log.txt.2").write_text("older\n")  # .1 has been renamed, the file has not
    (tmp_path / "log.txt.3").write_text("oldest\n")
    write(path, "next", Rotation(limit_bytes=5, keep=3))
    expected = {"log.txt": "next\n", "log.txt.1": "new\n", "log.txt.2": "older\n", "log.txt.3": "oldest\n"}
    assert read(tmp_path) == expected


def test_a_file_that_another_program_moves_while_it_is_put_aside_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_text("old\n")
    rename = os.rename

    def move_first(source: str, target: str) -> None:
        monkeypatch.undo()
        rename(source, tmp_path / "moved")
        rename(source, target)

    monkeypatch.setattr("errand.log.file.os.rename", move_first)
    write(path, "new", Rotation(limit_bytes=5, keep=2))
    assert read(tmp_path) == {"log.txt": "new\n", "moved": "old\n"}


def test_the_file_behind_a_link_is_put_aside_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    link = tmp_path / "log.txt"
    link.symlink_to(tmp_path / "volume/app.txt")
    for text in ("one", "two"):
        write(link, text, Rotation(limit_bytes=5, keep=2))
    assert read(tmp_path / "volume") == {"app.txt": "two\n", "app.txt.1": "one\n"}
    assert link.is_symlink()


WRITE = """
import sys
from jobs import log
for number in range(300):
    log.run(f"{sys.argv[1]} {number} " + "x" * (number % 50))
"""


def test_processes_that_write_and_rotate_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    environment = {"LOG_URL": f"file:{path}?rotate=2KB&keep=1000", "PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, name], env=environment) for name in "abcd"]
    numbers = itertools.count()
    while any(writer.poll() is None for writer in writers):
        with suppress(FileNotFoundError):
            path.rename(tmp_path / f"moved.{next(numbers)}")  # as logrotate does
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0] * 4
    found = read(tmp_path)
    lines = sorted(line for text in found.values() for line in text.splitlines())
    assert lines == sorted(f"{name} {n} " + "x" * (n % 50) for name in "abcd" for n in range(300))
    assert len(found) > 10
    assert max(map(len, found.values())) <= 2000


def write(path: Path, text: str, rotation: Rotation | None = None) -> None:
    line = LogLine(datetime.now(UTC), "info", text, {}, "job")
    FileSink(str(path), format_plain, rotation).write([line])


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}
