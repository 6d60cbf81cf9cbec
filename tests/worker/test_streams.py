"""The standard streams of a process that runs jobs: nobody takes them from the others."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from errand.worker.shared.streams import Streams
from tests.support.services import Services


@contextlib.contextmanager
def printing_to(path: Path) -> Iterator[Streams]:
    """Let stdout be a file's in the block: pytest puts its own there before each test."""
    with path.open("w") as out, io.StringIO() as err, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        yield Streams()
        out.flush()


def test_a_closed_stream_goes_on(tmp_path: Path) -> None:
    with printing_to(tmp_path / "out"):
        handler = logging.StreamHandler(sys.stdout)
        sys.stdout.close()
        sys.stdout.buffer.close()
        with sys.stdout:
            print("one")
        handler.emit(logging.makeLogRecord({"msg": "two"}))
        io.TextIOWrapper(sys.stdout.buffer)
        print("three")
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("is_closed", [False, True])
def test_what_nobody_can_print_to_is_replaced_at_once(tmp_path: Path, is_closed: bool) -> None:
    with printing_to(tmp_path / "out") as streams:
        own = sys.stdout
        sys.stdout = sys.stderr = io.StringIO() if is_closed else None
        if is_closed:
            sys.stdout.close()
        streams.look({"other"})
        assert sys.stdout is own
        assert sys.stderr is not None


def test_a_redirection_lasts_as_long_as_a_job_that_ran_when_it_was_seen_first(tmp_path: Path) -> None:
    with printing_to(tmp_path / "out") as streams:
        own, theirs = sys.stdout, io.StringIO()
        with contextlib.redirect_stdout(theirs):
            streams.look({"one", "two"})
            streams.look({"two", "three"})
            assert sys.stdout is theirs
            streams.look({"three"})
            assert sys.stdout is own


def test_another_redirection_may_be_that_of_any_that_runs(tmp_path: Path) -> None:
    with printing_to(tmp_path / "out") as streams:
        sys.stdout = io.StringIO()
        streams.look({"one"})
        sys.stdout = last = io.StringIO()
        streams.look({"two"})
        assert sys.stdout is last


def test_a_redirection_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    with printing_to(tmp_path / "out") as streams:
        theirs = io.StringIO()
        with contextlib.redirect_stdout(theirs):
            streams.look({"one"})
        streams.look({"one"})
        with contextlib.redirect_stdout(theirs):
            streams.look({"two"})
            assert sys.stdout is theirs


def test_a_closed_descriptor_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    monkeypatch.setattr("errand.worker.shared.streams.DESCRIPTORS", (into,))
    streams = Streams()
    os.close(into)
    streams.look(())
    os.write(into, b"again")
    assert os.read(out, 5) == b"again"


WAYS = ("close", "with", "wrap", "descriptor", "none", "file")


@pytest.mark.quick("closer")
@pytest.mark.parametrize("type", ["closer", "closer_alone"])
def test_whatever_a_job_does_to_them_the_worker_and_later_jobs_still_print(services: Services, type: str) -> None:
    services.start_api()
    worker = services.start_worker(WORKER_THREADS="1")
    for count, way in enumerate(WAYS, 1):
        assert services.wait_for(services.post(type, {"how": way}))["result"] == way
        last = services.post("closer", {"how": "print"})
        assert services.wait_for(last)["status"] == "finished", way
        assert services.read_log(worker).count("it is printed") == count, way
    log = services.read_log(worker)
    assert log.count(f"{type} ") >= len(WAYS)
    assert "Traceback" not in log
    assert "runner died" not in log
