"""`errand up` on a full disk: it says so, keeps what it can, and goes on when there is room."""

import asyncio
import errno
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope

from errand.local import valkey_keeper as _keeper
from errand.local.line_file import LineFile
from errand.local.mail_sink import MailFolder
from errand.local.valkey_keeper import ValkeyKeeper
from tests.local.conftest import Start
from tests.local.running import Running
from tests.support.waiting import wait_until

SIZE = "12m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of some megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "errand-test", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("it takes the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a disk; return the file that has it."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 4096):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return path


def post(up: Running) -> str:
    """Return the id of a job, "" where it is refused."""
    answer = up.api.call("POST", "/v1/jobs/log", {"text": "x"})
    assert answer.status in (202, 503), answer
    return str(answer.body["id"]) if answer.status == 202 else ""


@pytest.mark.thorough
def test_it_says_so_keeps_what_it_can_and_comes_back(start: Start, small_disk: Path) -> None:
    up = start("--data", str(small_disk / "data")).wait_until_ready()
    ids = [post(up) for _ in range(3)]
    filler = fill(small_disk)
    wait_until(lambda: not post(up), 30)
    up.wait_for("is full")
    refused = up.api.call("POST", "/v1/jobs/log", {"text": "x"})
    assert refused.status == 503
    assert refused.body["type"] == "urn:problem-type:errand:redis-away"
    assert up.api.call("GET", "/livez").status == 200
    assert up.process.poll() is None
    assert up.output.count("is full") == 1
    filler.unlink()
    ids.append(wait_until(lambda: post(up), 30))
    for id in ids:
        assert up.api.wait_for(id)["status"] == "finished"
    assert "there is room again" in up.output
    assert "Traceback" not in up.output
    kept = (small_disk / "data" / "errand.log").read_text()
    assert "there is room again" in kept
    assert up.end() == 0


@pytest.mark.thorough
def test_it_does_not_start_on_a_full_disk_and_says_so_in_one_line(start: Start, small_disk: Path) -> None:
    fill(small_disk)
    up = start("--data", str(small_disk / "data"))
    assert up.process.wait(30) == 1
    assert "Traceback" not in up.output
    (line,) = [line for line in up.output.splitlines() if "errand:" in line]
    assert "full" in line or "No space left" in line


class Valkey:
    """A server that ends when it is told to."""

    folder = Path(".errand/valkey")
    how_it_ended = "ended with exit code 1"

    def __init__(self) -> None:
        self.starts, self.runs = 0, False

    def is_running(self) -> bool:
        return self.runs

    def start(self) -> None:
        self.starts, self.runs = self.starts + 1, True


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> tuple[Valkey, ValkeyKeeper, list[str], Callable[[float], None]]:
    valkey, said = Valkey(), []
    now, free = [1000.0], [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_keeper, "measure_free_mb", lambda folder: free[0])

    def pass_seconds(free_mb: float) -> None:
        now[0], free[0] = now[0] + 60, free_mb
        keeper.start_if_ended()

    keeper = ValkeyKeeper(valkey, lambda name, text: said.append(text))  # type: ignore[arg-type]
    return valkey, keeper, said, pass_seconds


def test_a_server_that_ended_is_started_again_at_once(kept: Any) -> None:
    valkey, _, said, pass_seconds = kept
    pass_seconds(100.0)
    assert valkey.starts == 1
    assert said == ["valkey ended with exit code 1; starting it again"]


def test_without_room_it_waits_and_says_so_once(kept: Any) -> None:
    valkey, _, said, pass_seconds = kept
    for _ in range(3):
        pass_seconds(0.0)
    assert (valkey.starts, len(said)) == (0, 1)
    assert "the disk of .errand/valkey/ is full (0.0 MB free)" in said[0]
    pass_seconds(50.0)
    assert valkey.starts == 1
    assert said[1:] == ["there is room again; starting valkey"]


def test_one_that_ends_at_once_is_not_started_again_and_again(kept: Any) -> None:
    valkey, keeper, _, pass_seconds = kept
    pass_seconds(100.0)
    valkey.runs = False
    for _ in range(10):
        keeper.start_if_ended()
    assert valkey.starts == 1
    pass_seconds(100.0)
    assert valkey.starts == 2


def test_lines_that_find_no_room_are_counted_and_the_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LineFile(tmp_path / "log")
    print("one", file=file, flush=True)
    monkeypatch.setattr(file, "_write", lambda data: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    for _ in range(3):
        print("lost", file=file, flush=True)
    assert file.fault == "No space left"
    monkeypatch.undo()
    print("two", file=file, flush=True)
    file.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["one", "(3 lines were lost: No space left)", "two"]
    assert file.fault == ""


def test_a_file_on_a_full_device_ends_nothing() -> None:
    file = LineFile(Path("/dev/full"))
    print("lost", file=file, flush=True)
    assert file.fault
    file.close()


def test_the_sink_lets_a_mail_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_bytes(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    envelope = Envelope()
    envelope.content, envelope.rcpt_tos = b"Subject: x\r\n\r\n", ["ada@example.com"]
    answer = asyncio.run(MailFolder(tmp_path / "mail").handle_DATA(None, None, envelope))
    assert answer.startswith("452 4.3.1 ")
    assert list((tmp_path / "mail").iterdir()) == []
