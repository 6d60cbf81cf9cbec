"""Tracebacks as a person on call reads them."""

import subprocess
import sys
import traceback
import zlib
from base64 import b64encode
from collections.abc import Callable

from errand.redis import keys
from errand.store.observe import traces
from errand.store.observe.frames import is_own_anywhere
from errand.store.observe.traces import fold_trace

OWN = '  File "/srv/app/jobs/sms.py", line 8, in run\n    send(to)\n    ^^^^^^^^\n'
INNER = '  File "/srv/app/jobs/sms.py", line 12, in send\n    number = int(to)\n'
OUR = '  File "/opt/venv/lib/python3.12/site-packages/errand/worker/attempt.py", line 5, in work\n    run()\n'
HTTP = '  File "/usr/lib/python3.11/http/client.py", line 9, in connect\n    self.sock = create()\n'
HEAD = "Traceback (most recent call last):\n"


def pack(text: bytes) -> str:
    return b64encode(zlib.compress(text)).decode()


def written(function: Callable[[], object]) -> str:
    try:
        function()
    except Exception as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("nothing was raised")


def test_the_error_comes_first_then_the_jobs_own_frames_then_how_many_are_folded() -> None:
    text = f"{HEAD}{OUR}{OUR}{OWN}{INNER}{HTTP}ValueError: no number\nin two lines\n"
    assert fold_trace(text) == (
        f"ValueError: no number\nin two lines\n{OWN}{INNER}"
        "  … 3 frames of libraries, the last at client.py:9 in connect"
    )
    assert fold_trace(f"{HEAD}{OUR}ValueError\n") == "ValueError\n  … 1 frame of a library at attempt.py:5 in work"
    assert fold_trace(f"{HEAD}{OWN}ValueError\n") == f"ValueError\n{OWN}".rstrip()


def test_the_last_of_chained_errors_comes_first_and_says_what_it_came_from() -> None:
    def chained() -> None:
        try:
            try:
                int("x")
            except ValueError as error:
                raise KeyError("first") from error
        except KeyError:
            raise RuntimeError("second")  # noqa: B904 - what a job may do

    blocks = fold_trace(written(chained)).split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["RuntimeError: second", "While handling:", "Caused by:"]
    assert blocks[1].splitlines()[1] == "KeyError: 'first'"
    assert blocks[2].splitlines()[1].startswith("ValueError: invalid literal")
    assert all("in chained" in block for block in blocks)


def test_a_group_keeps_its_form_with_the_libraries_folded() -> None:
    def group() -> None:
        errors = []
        try:
            subprocess.run([sys.executable, "-c", ""], cwd="/nowhere", check=False)
        except OSError as error:
            errors.append(error)
        raise ExceptionGroup("two", [*errors, ValueError("plain")])

    lines = fold_trace(written(group)).splitlines()
    assert "  | ExceptionGroup: two (2 sub-exceptions)" in lines
    assert "    | ValueError: plain" in lines
    folded = next(line for line in lines if "frames of libraries" in line)
    assert folded.startswith("    |   … ")
    assert "subprocess.py" in folded
    assert sum("site-packages" in line or "/lib/python3" in line for line in lines) == 0


def test_repeated_and_cut_frames_are_counted_and_named() -> None:
    again = "  [Previous line repeated 995 more times]\n"
    assert "996 frames of libraries" in fold_trace(f"{HEAD}{OWN}{HTTP}{again}RecursionError: deep\n")
    assert fold_trace(f"{HEAD}{INNER}{again}RecursionError: deep") == f"RecursionError: deep\n{INNER}{again}".rstrip()
    cut = f"{HEAD}{OWN}{HTTP}\n…\nhalf a line\n{OUR}{INNER}ValueError: x"
    assert fold_trace(cut).splitlines()[0] == "ValueError: x"
    assert "in send" in fold_trace(cut)


def test_what_does_not_look_like_a_traceback_stays() -> None:
    for text in ("", "Lost: the process that ran it died", f"{HEAD}ValueError", f"{HEAD}{OWN}".rstrip(), "a\n\nb"):
        assert fold_trace(text) == text


def test_a_trace_that_can_not_be_read_is_none() -> None:
    assert traces.read_trace("AAAA") is None
    assert traces.read_trace("é") is None


def test_code_is_distinguished_by_its_path_on_other_machines_too() -> None:
    libraries = ["/x/lib/python3.9/json/decoder.py", "/x/site-packages/rq/job.py", "<frozen importlib._bootstrap>"]
    assert not any(map(is_own_anywhere, [*libraries, "/other/place/errand/worker/attempt.py"]))
    assert all(map(is_own_anywhere, ["/srv/errand/jobs/sms.py", "/srv/errand/api/sms.py", "jobs/sms.py"]))


def test_an_errors_last_letter_stays_and_blocks_are_distinguished_by_an_empty_line() -> None:
    assert fold_trace(f"{HEAD}{OWN}ValueError: X\n").startswith("ValueError: X\n")
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    text = f"{HEAD}{OWN}ValueError: a\n{link}{HEAD}{INNER}KeyError: b"
    assert fold_trace(text) == f"KeyError: b\n{INNER}\nCaused by:\nValueError: a\n{OWN}".rstrip()


def test_a_trace_too_large_to_be_shown_says_so_and_one_is_read_as_far_as_it_can_be() -> None:
    for packed in (keys.TOO_LARGE, pack(b"x" * (keys.TRACE_BYTES + 1))):
        text = traces.read_trace(packed)
        assert text is not None
        assert text.startswith("(a traceback of more than")
    assert traces.read_trace(pack(b"x\xff")) == "x\ufffd"
