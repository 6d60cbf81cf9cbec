"""Catching what jobs log and print, and handing it over: in this process, with contexts in the place of jobs."""

import contextlib
import io
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, OutOfMemoryError, ResponseError

from errand.contract.attempt import NoAttempt, enter
from errand.worker.attempt import LiveAttempt
from errand.worker.execution import Execution
from errand.worker.output.capture import Capture
from errand.worker.output.lines import AttemptLines, OutputLine
from errand.worker.output.printed import FormatPrinted, format_printed, format_printed_json
from errand.worker.output.ship import SHIP_SECONDS, Shipper

Said = list[tuple[str, str, str]]
logger = logging.getLogger("app.output")


def build_execution(id: str = "one") -> Execution:
    return Execution(id, f"e-{id}", "default", b"", 60, "", "", "talk", 0, "", 1000.0, time.monotonic())


class Job:
    """An attempt's context, and what was caught in it."""

    def __init__(self, id: str = "one") -> None:
        self.attempt = LiveAttempt(lambda text: None, time.time)
        self.attempt.execution = build_execution(id)
        self.context: Context = copy_context()
        self.context.run(enter, self.attempt)

    def run(self, say: Callable[..., Any], *args: Any, **options: Any) -> None:
        self.context.run(say, *args, **options)

    @property
    def lines(self) -> list[OutputLine]:
        return self.attempt.lines.collect() if self.attempt.lines else []

    @property
    def said(self) -> Said:
        return [(line.level, line.logger, line.text) for line in self.lines]


@contextlib.contextmanager
def catching(format: FormatPrinted = format_printed) -> Iterator[io.BytesIO]:
    """Catch in the block, and give what the worker prints: pytest puts its own streams there before each test."""
    raw = io.BytesIO()
    enter(NoAttempt())  # an earlier test may have left one in this process' context,
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8", write_through=True))
        patch.setattr(logging.getLogger(), "handlers", [])
        with Capture(lambda lines: None, format).open():
            yield raw


def read(out: io.BytesIO) -> str:
    return out.getvalue().decode()


def test_a_record_becomes_a_line_of_the_attempt_in_whose_context_it_was_made() -> None:
    with catching():
        one, two = Job("one"), Job("two")
        one.run(logger.info, "for %s", "one")
        two.run(logger.warning, "for two")
        logger.warning("for nobody")
        assert one.said == [("INFO", "app.output", "for one")]
        assert two.said == [("WARNING", "app.output", "for two")]


def test_a_logger_that_does_not_propagate_is_caught_and_a_level_that_is_off_is_not() -> None:
    with catching():
        one, alone = Job(), logging.getLogger("app.alone")
        alone.propagate = False
        alone.setLevel(logging.ERROR)
        one.run(alone.warning, "no")
        one.run(alone.error, "yes")
        assert one.said == [("ERROR", "app.alone", "yes")]


def test_what_the_worker_logs_about_a_job_is_none_of_its_lines() -> None:
    with catching():
        one = Job()
        one.run(logging.getLogger("errand.worker").error, "failed for good")
        assert one.said == []


def test_a_record_that_cannot_be_put_together_is_described() -> None:
    with catching():
        one = Job()
        one.run(logger.warning, "%d of %d", "one")
        assert one.said == [("WARNING", "app.output", "'%d of %d' (TypeError when it was put together)")]


def test_a_handler_of_a_jobs_own_prints_its_records_and_no_line_is_there_twice() -> None:
    with catching() as out:
        one, handler = Job(), logging.StreamHandler(sys.stdout)
        logger.addHandler(handler)
        try:
            one.run(logger.warning, "once")
        finally:
            logger.removeHandler(handler)
        assert one.said == [("WARNING", "app.output", "once")]
        assert read(out) == "once\n"


def test_a_warning_that_python_prints_itself_carries_the_jobs_id_and_is_one_line() -> None:
    with catching() as out:
        one = Job()
        one.run(logger.warning, "no\nhandler")
        assert read(out) == "talk one: no\ntalk one: handler\n"
        assert one.said == [("WARNING", "app.output", "no\nhandler")]


def test_a_handlers_format_may_name_the_job() -> None:
    with catching() as out:
        one, handler = Job(), logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(job_type)s %(job_id)s %(attempt)s %(message)s"))
        logger.addHandler(handler)
        try:
            one.run(logger.warning, "said")
        finally:
            logger.removeHandler(handler)
        assert read(out) == "talk one 1 said\n"


def test_a_printed_line_may_be_json() -> None:
    with catching(format_printed_json) as out:
        one = Job()
        one.run(print, 'a "b"\nc')
        one.run(logger.warning, "bare")
        first, second, bare = read(out).splitlines()
    shown = json.loads(first)
    assert shown.pop("time").endswith("Z")
    assert shown == {"level": "info", "event": 'a "b"', "job_id": "one", "type": "talk", "logger": "stdout"}
    assert json.loads(second)["event"] == "c"
    assert bare == "bare"


def test_a_print_carries_the_jobs_id_and_is_a_line() -> None:
    with catching() as out:
        one = Job()
        one.run(print, "a", 1, sep="-", end="")
        one.run(print, "", "z")
        one.run(print, "two\nlines", file=sys.stderr)
        print("nobody's")
        assert read(out) == "talk one: a-1 z\ntalk one: two\ntalk one: lines\nnobody's\n"
        assert one.said == [("print", "stdout", "a-1 z"), ("print", "stderr", "two"), ("print", "stderr", "lines")]


def test_lines_of_jobs_that_print_at_once_do_not_mix() -> None:
    with catching() as out:
        one, two = Job("one"), Job("two")
        one.run(print, "o", end="")
        two.run(print, "t", end="")
        one.run(print, "ne")
        two.run(print, "wo")
        assert read(out) == "talk one: one\ntalk two: two\n"


def test_what_threads_of_one_job_print_does_not_mix() -> None:
    with catching() as out:
        one = Job()
        one.run(print, "o", end="")
        thread = threading.Thread(target=one.context.copy().run, args=(print, "two"))
        thread.start()
        thread.join()
        one.run(print, "ne")
        assert read(out) == "talk one: two\ntalk one: one\n"


def test_of_a_line_that_is_written_over_the_last_is_kept() -> None:
    with catching():
        one = Job()
        for percent in (10, 50, 100):
            one.run(print, f"\r{percent} %", end="")
        one.run(print)
        assert one.said == [("print", "stdout", "100 %")]


def test_a_line_that_never_ends_is_cut() -> None:
    with catching():
        one = Job()
        for _ in range(50):
            one.run(print, "x" * 1000, end="")
        assert len(one.lines) == 2


def test_a_redirection_is_the_jobs_own() -> None:
    with catching():
        one, theirs = Job(), io.StringIO()
        with contextlib.redirect_stdout(theirs):
            one.run(print, "hidden")
        one.run(print, "shown")
        assert theirs.getvalue() == "hidden\n"
        assert one.said == [("print", "stdout", "shown")]


def test_a_process_that_a_job_forks_prints_as_it_is() -> None:
    with catching() as out, pytest.MonkeyPatch.context() as patch:
        one = Job()
        patch.setattr(os, "getpid", lambda: 1)
        one.run(print, "no line of ours", end="")
        assert read(out) == "no line of ours"
        assert one.said == []


def test_basic_config_still_works() -> None:
    with catching() as out:
        Job().run(logging.basicConfig, format="%(levelname)s:%(message)s")
        Job().run(logger.warning, "shown")
        assert read(out) == "WARNING:shown\n"


def test_infos_are_let_through_where_nobody_set_up_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    for handlers, before, level in (([], 30, 20), ([], 40, 40), ([logging.NullHandler()], 30, 30)):
        monkeypatch.setattr(root, "handlers", handlers)
        root.setLevel(before)
        with Capture(lambda lines: None, format_printed).open():
            assert root.level == level
        assert root.level == before
    root.setLevel(logging.WARNING)


def test_a_very_long_line_loses_its_middle() -> None:
    with catching():
        one = Job()
        one.run(logger.warning, "a" * 10_000 + "z" * 10_000)
        ((_, _, text),) = one.said
        assert len(text) < 9000
        assert text.startswith("aaa")
        assert "[… 11808 characters …]" in text
        assert text.endswith("zzz")


def test_only_the_last_lines_wait_and_the_numbers_show_the_others() -> None:
    lines = AttemptLines(build_execution(), lambda lines: None)
    for number in range(2500):
        lines.add("INFO", "app", f"line {number}")
    assert [line.number for line in lines.collect()] == list(range(1501, 2501))
    lines.add("INFO", "app", "another")
    assert [line.number for line in lines.collect()] == list(range(1502, 2502))


def test_64_kib_wait_at_most() -> None:
    lines = AttemptLines(build_execution(), lambda lines: None)
    for _ in range(100):
        lines.add("INFO", "app", "x" * 4096)
    assert len(lines.collect()) == 16
    lines.add("INFO", "app", "x" * 4096)
    assert [line.number for line in lines.collect()] == list(range(86, 102))


class ScriptedShipper(Shipper):
    """Calls nothing; raises what it is given."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.calls: list[list[Any]] = []
        self.fault: Exception | None = None
        self._script = self.call  # type: ignore[assignment]

    def call(self, args: list[Any]) -> None:
        self.calls.append(args)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def shipper(redis: Redis) -> ScriptedShipper:
    return ScriptedShipper(redis)


def test_nothing_is_sent_where_nothing_was_said(shipper: ScriptedShipper) -> None:
    shipper.look(())
    shipper.ship(at_once=True)
    assert shipper.calls == []


def test_lines_wait_a_moment_and_go_at_once_when_their_attempt_has_ended(shipper: ScriptedShipper) -> None:
    one, two = (AttemptLines(build_execution(id), shipper.arrive) for id in ("one", "two"))
    one.add("INFO", "app", "one")
    shipper.ship()
    one.add("INFO", "app", "more of one")
    two.add("INFO", "app", "two")
    shipper.ship()
    assert len(shipper.calls) == 1
    shipper.look([two.execution.member])
    shipper.ship()
    assert [call[:3] for call in shipper.calls] == [["one", "e-one", 1], ["one", "e-one", 1]]
    assert shipper.calls[1][5:8] == ["two", "e-two", 1]
    time.sleep(SHIP_SECONDS)
    shipper.ship()
    assert len(shipper.calls) == 2


def test_what_a_job_left_behind_says_after_its_end_are_sent(shipper: ScriptedShipper) -> None:
    lines = AttemptLines(build_execution(), shipper.arrive)
    shipper.look(())
    shipper.ship()
    lines.add("INFO", "app", "late")
    shipper.ship(at_once=True)
    assert len(shipper.calls) == 1


def test_what_redis_does_not_take_is_kept_while_it_is_away_and_else_dropped(shipper: ScriptedShipper) -> None:
    lines = AttemptLines(build_execution(), shipper.arrive)
    lines.add("INFO", "app", "one")
    shipper.fault = ConnectionError("away")
    with pytest.raises(ConnectionError):
        shipper.ship(at_once=True)
    for fault in (OutOfMemoryError("full"), ResponseError("no")):
        shipper.fault = fault
        shipper.ship(at_once=True)
        shipper.ship(at_once=True)
        lines.add("INFO", "app", "another")
    assert [call[3] for call in shipper.calls] == [1, 1, 2]
