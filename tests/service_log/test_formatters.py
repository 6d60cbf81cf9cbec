"""One line an event: what it holds, and what it leaves out."""

import json
import logging
import sys
from typing import Any

import pytest

from errand.service_log.formatters import GivenFormatter, JsonFormatter, ShortFormatter
from errand.service_log.line import request_id


def make_record(text: str, *args: object, level: int = logging.WARNING, **about: Any) -> logging.LogRecord:
    name, error = about.pop("name", "errand.worker"), about.pop("exc_info", None)
    return logging.getLogger(name).makeRecord(name, level, __file__, 0, text, args, error, extra=about)


def fail() -> Any:
    """Return the record's part of an error with a cause, both of which tell a secret."""
    try:
        try:
            raise KeyError("secret")
        except KeyError as error:
            raise ValueError("not secret") from error
    except ValueError:
        return sys.exc_info()


def test_a_line_of_json_tells_when_what_and_of_which_job() -> None:
    record = make_record("%s %s: finished", "sms", "7", level=logging.INFO, job_id="7", job_type="sms", queue="default")
    record.created = 1_795_912_615.25
    assert json.loads(JsonFormatter("host.1").format(record)) == {
        "time": "2026-11-29T00:36:55.250Z",
        "level": "info",
        "event": "sms 7: finished",
        "job_id": "7",
        "type": "sms",
        "queue": "default",
        "worker": "host.1",
        "logger": "errand.worker",
    }


def test_a_line_of_a_request_has_its_id() -> None:
    token = request_id.set("abc-1")
    try:
        assert json.loads(JsonFormatter().format(make_record("Redis is away")))["request_id"] == "abc-1"
    finally:
        request_id.reset(token)


@pytest.mark.parametrize(
    "form", [JsonFormatter(), ShortFormatter(True, True), GivenFormatter("%(asctime)s %(message)s")]
)
def test_a_failed_attempt_is_one_line_without_what_the_error_says(form: logging.Formatter) -> None:
    text = "sms 7: failed for good: ValueError, jobs/sms.py:3 in run"
    record = make_record(text, exc_info=fail(), error_type="ValueError", frame="jobs/sms.py:3 in run")
    record.exc_text = "as other handlers show it: secret"
    line = form.format(record)
    assert text in line
    assert "\n" not in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "form", [JsonFormatter(), ShortFormatter(True, True), GivenFormatter("%(asctime)s %(message)s")]
)
def test_another_error_is_told_by_its_places_and_those_of_its_cause(form: logging.Formatter) -> None:
    line = form.format(make_record("maintenance stopped", exc_info=fail()))
    assert "KeyError" in line
    assert "ValueError" in line
    assert "test_formatters.py" in line
    assert line.count("KeyError: ") == 0
    assert "'secret'" not in line.replace('raise KeyError("secret")', "")


def test_the_passwords_of_urls_are_left_out() -> None:
    line = ShortFormatter(False, False).format(make_record("no redis://ada:pa:ss@host:1/0 and rediss://:x@host"))
    assert line == "WARNING: no redis://ada:***@host:1/0 and rediss://:***@host"


def test_what_has_several_lines_becomes_one() -> None:
    assert (
        ShortFormatter(False, False).format(make_record("one\n  two\r\nthree", level=logging.INFO)) == "one two three"
    )


def test_of_what_asyncio_complains_its_first_words_are_told() -> None:
    text = "Task exception was never retrieved\nfuture: <Task exception=KeyError('secret')>"
    assert json.loads(JsonFormatter().format(make_record(text, name="asyncio")))["event"] == (
        "Task exception was never retrieved"
    )


def test_a_short_line_names_and_colours_the_levels_that_matter() -> None:
    form = ShortFormatter(has_time=False, has_colour=True)
    assert form.format(make_record("done", level=logging.INFO)) == "done"
    assert form.format(make_record("hm")) == "\033[33mWARNING: hm\033[0m"
    assert form.format(make_record("no", level=logging.ERROR)) == "\033[31mERROR: no\033[0m"
