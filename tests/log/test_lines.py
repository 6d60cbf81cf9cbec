"""Several lines in one job."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from errand import ServiceDownError
from errand.builtin.log import Line
from jobs import log
from tests.log.conftest import Open
from tests.support.job_fixtures import Perform


def read_lines(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().decode().splitlines()]


def test_each_of_several_lines_has_its_own_level_attributes_and_time(open_log: Open, perform: Perform) -> None:
    path = open_log("log.jsonl")
    lines = [
        {"text": "one"},
        {"text": "two", "level": "WARN", "attributes": {"n": 2}, "timestamp": "2026-11-24T00:00:00Z"},
    ]
    job = perform("log", {"lines": lines})
    first, second = read_lines(path)
    assert first.pop("time") == job.created_at.isoformat(timespec="microseconds")
    assert first == {"level": "info", "text": "one", "attributes": {}, "job": job.id}
    assert second == {
        "time": "2026-11-24T00:00:00.000000+00:00",
        "level": "warning",
        "text": "two",
        "attributes": {"n": 2},
        "job": job.id,
    }


def test_what_a_line_lacks_it_has_of_the_job(open_log: Open) -> None:
    path = open_log("log.jsonl")
    log.run.perform(
        lines=[{"text": "a"}, {"text": "b", "level": "info", "attributes": {}}],
        level="error",
        attributes={"app": 1},
        timestamp="2026-11-24T00:00:00Z",
    )
    found = [(line["level"], line["attributes"], line["time"][:10]) for line in read_lines(path)]
    assert found == [("error", {"app": 1}, "2026-11-24"), ("info", {}, "2026-11-24")]


def test_no_line_can_forge_another(open_log: Open) -> None:
    path = open_log("log.txt")
    log.run.perform(lines=[{"text": "a\nb\u2028c"}, {"text": "d", "attributes": {"\ne": "\x1b"}}])
    assert path.read_text() == 'a\\u000ab\\u2028c\nd {"\\ne": "\\u001b"}\n'


def test_a_plain_call_takes_lines_as_dictionaries_and_as_models(open_log: Open) -> None:
    path = open_log("log.txt")
    log.run(lines=[{"text": "a"}, Line(text="b", level="error")])  # type: ignore[list-item]
    assert path.read_text() == "a\nERROR b\n"


def test_the_stored_payload_is_what_was_given() -> None:
    assert log.run.payload.bind(lines=[{"text": "a", "level": "WARN"}]) == {
        "lines": [{"text": "a", "level": "warning"}]
    }


@pytest.mark.parametrize(
    ("payload", "place", "said"),
    [
        ({}, "lines", "give text or lines, one of them"),
        ({"text": "x", "lines": [{"text": "y"}]}, "lines", "give text or lines, one of them"),
        ({"text": None}, "lines", "give text or lines, one of them"),
        ({"lines": []}, "lines", "at least 1 item"),
        ({"lines": [{"text": "x"}] * 1001}, "lines", "at most 1000 items"),
        ({"lines": [{"text": "x"}, {"level": "info"}]}, "lines.1.text", "Field required"),
        ({"lines": [{"text": "x", "level": "loud"}]}, "lines.0.level", "'emergency'"),
        ({"lines": [{"text": "x", "colour": "red"}]}, "lines.0.colour", "not permitted"),
        ({"lines": [{"text": "x", "timestamp": "2026-11-24T00:00:00"}]}, "lines.0.timestamp", "timezone"),
        ({"lines": ["x"]}, "lines.0", "object"),
    ],
)
def test_wrong_lines_are_refused_with_their_place(payload: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        log.run.payload.model.model_validate_json(json.dumps(payload))
    (fault,) = caught.value.errors()
    assert ".".join(map(str, fault["loc"])) == place
    assert said in fault["msg"]


def test_a_plain_call_needs_text_or_lines(open_log: Open) -> None:
    open_log("log.txt")
    with pytest.raises(ValueError, match="give text or lines"):
        log.run()


def test_lines_that_do_not_fit_on_the_disk_are_all_taken_back(open_log: Open, small_disk: Any) -> None:
    path = small_disk / "log.jsonl"
    open_log(str(path))
    log.run("before")
    before = path.read_bytes()
    with pytest.raises(ServiceDownError, match="No space left on device"):
        log.run.perform(lines=[{"text": f"{number} " + "x" * 1000} for number in range(1000)])
    assert path.read_bytes() == before
