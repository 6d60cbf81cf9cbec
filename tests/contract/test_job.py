"""A job as an object: called as a function, performed, enqueued; without RQ."""

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from errand import Backoff, Depends, InvalidPayloadError, Job, PermanentError, Progress, job, job_id, recording
from errand.contract.errors import ContractError
from tests.support.job_fixtures import FIXTURES, Add

calls: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    calls.clear()


def settings() -> str:
    calls.append("settings")
    return "dsn"


def connect(dsn: str = Depends(settings)) -> Iterator[str]:
    calls.append(f"open {dsn}")
    try:
        yield "db"
    finally:
        calls.append("close")


@job()
def run(
    to: str, fail: bool = False, progress: Progress = Progress(), db: Annotated[str, Depends(connect)] = "none"
) -> str:
    calls.append(f"run with {db}")
    progress(1, 2)
    if fail:
        raise ValueError("no")
    return to


def make(value: Any) -> Job[[], Any]:
    @job()
    def run() -> Any:
        return value

    return run


def test_a_call_is_the_plain_function_without_injection() -> None:
    seen = Progress()
    assert run("ada", progress=seen) == "ada"
    assert (calls, seen.reports) == (["run with none"], [(1, 2, "")])


def test_a_job_has_its_type_path_and_purpose() -> None:
    assert (run.type, run.path) == ("test_job", f"{__name__}.run.perform")
    assert run.__doc__ == __doc__


def test_perform_runs_without_an_rq_job() -> None:
    assert run.perform(to="ada") == "ada"


def test_a_dependency_and_its_own_are_opened_and_closed_around_an_attempt() -> None:
    run.perform(to="ada")
    assert calls == ["settings", "open dsn", "run with db", "close"]


def test_a_dependency_is_closed_after_a_failure_too() -> None:
    with pytest.raises(ValueError, match=r"^no$"):
        run.perform(to="ada", fail=True)
    assert calls == ["settings", "open dsn", "run with db", "close"]


def test_a_dependency_is_opened_anew_for_each_attempt() -> None:
    run.perform(to="ada")
    run.perform(to="ada")
    assert calls.count("open dsn") == calls.count("close") == 2


def test_no_dependency_is_opened_for_a_payload_that_does_not_fit() -> None:
    with pytest.raises(InvalidPayloadError, match="to: Field required"):
        run.perform()
    assert calls == []


def test_an_async_job_runs_with_async_dependencies_and_types(add_folder: Add) -> None:
    add_folder(FIXTURES / "jobs")
    from jobs import order  # type: ignore[attr-defined]

    payload = {"day": "2026-02-01", "id": "12345678-1234-5678-1234-567812345678", "parts": [1, 2]}
    assert order.run.perform(**payload) == "032 1234 3"
    assert order.steps == ["opened", "032 1234 3", "closed"]


def test_annotations_may_be_strings(add_folder: Add, tmp_path: Path) -> None:
    source = (FIXTURES / "jobs/order.py").read_text().replace('"""\n', '"""\n\nfrom __future__ import annotations\n', 1)
    (tmp_path / "later.py").write_text(source)
    add_folder(tmp_path)
    from jobs import later  # type: ignore[attr-defined]

    assert later.run.perform(day="2026-02-01", id="12345678-1234-5678-1234-567812345678") == "032 1234 0"


def test_a_result_is_dumped_as_json() -> None:
    class Point(BaseModel):
        x: int

    assert make({"points": (Point(x=1), Point(x=2)), 3: Path("a")}).perform() == {
        "points": [{"x": 1}, {"x": 2}],
        "3": "a",
    }


def test_a_result_of_64_kib_is_kept() -> None:
    assert len(make("x" * (64 * 1024 - 2)).perform()) == 65_534


def test_a_larger_result_fails_for_good_and_says_what_to_do() -> None:
    with pytest.raises(PermanentError) as caught:
        make("x" * (64 * 1024 - 1)).perform()
    assert str(caught.value) == (
        "tests/contract/test_job.py: run() returned 65,537 bytes of JSON, more than 65,536; "
        "store it elsewhere and return where"
    )


@pytest.mark.parametrize("result", [object(), math.nan, [math.inf], b"\xff", "\ud800"])
def test_a_result_that_json_cannot_hold_fails_for_good(result: Any) -> None:
    with pytest.raises(PermanentError, match=r"^tests/contract/test_job\.py: run\(\) returned what JSON can't hold: "):
        make(result).perform()


def test_a_circular_result_fails_for_good() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(PermanentError, match="returned what JSON can't hold"):
        make(circle).perform()


def test_enqueue_inside_recording_keeps_type_and_payload() -> None:
    with recording() as sent:
        id = run.enqueue("ada", fail=True)
    assert sent == [("test_job", {"to": "ada", "fail": True})]
    assert len(id) == 36


def test_a_recording_inside_another_takes_what_is_enqueued_in_it_alone() -> None:
    with recording() as outer:
        with recording() as inner:
            run.enqueue("inner")
        run.enqueue("outer")
    assert [[payload["to"] for _, payload in sent] for sent in (outer, inner)] == [["outer"], ["inner"]]


def test_enqueue_of_a_wrong_payload_is_refused_at_the_call() -> None:
    with pytest.raises(ValueError, match="Input should be a valid string"):
        run.enqueue(3)  # type: ignore[arg-type]


def test_enqueue_of_what_the_worker_gives_is_refused_at_the_call() -> None:
    with pytest.raises(TypeError, match="progress is given by the worker"):
        run.enqueue("ada", progress=Progress())


def test_outside_a_job_each_call_for_the_jobs_id_gives_a_new_one() -> None:
    assert job_id() != job_id()


def test_an_adopted_job_is_stored_as_the_one_of_the_file_that_adopts_it() -> None:
    adopted = make("x").adopt("shop.jobs.letter")
    assert (adopted.type, adopted.where, adopted.path) == (
        "letter",
        "shop/jobs/letter.py",
        "shop.jobs.letter.run.perform",
    )


def test_an_adopted_job_keeps_its_options_and_leaves_the_other_as_it_was() -> None:
    original = make("x")
    adopted = original.adopt("shop.jobs.letter")
    assert (adopted.queue, adopted.retry, adopted.timeout_seconds) == (
        original.queue,
        original.retry,
        original.timeout_seconds,
    )
    assert (adopted.perform(), original.path) == ("x", "tests.contract.test_job.run.perform")


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_seconds": 1},
        {"max_bytes": 1},
        {"max_bytes": lambda: 0},
        {"retry": Backoff(tries=1)},
        {"retry": Backoff(hours=0.5)},
    ],
)
def test_the_least_of_an_option_will_do(options: dict[str, Any]) -> None:
    assert job(**options)(make(None).function).type


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds is 0; give at least 1"),
        ({"max_bytes": 0}, "max_bytes is 0; give at least 1"),
        ({"retry": Backoff(tries=0)}, r"Backoff\(tries=0\); the first attempt counts: at least 1"),
        ({"retry": Backoff(hours=0)}, r"Backoff\(hours=0\); give more than 0"),
        ({"retry": Backoff(hours=math.inf)}, r"Backoff\(hours=inf\); give more than 0"),
    ],
)
def test_less_than_the_least_of_an_option_is_reported(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ContractError, match=fault):
        job(**options)(make(None).function)


def test_a_job_has_its_example() -> None:
    assert job(example={})(make(None).function).example == {}


def test_a_cron_without_a_zone_is_of_utc() -> None:
    cron = job(cron="0 9 * * *")(make(None).function).cron
    assert cron is not None
    assert (cron.expression, cron.timezone) == ("0 9 * * *", "UTC")


def test_a_cron_of_a_job_that_needs_a_payload_names_each_parameter() -> None:
    def run(to: str, subject: str, text: str = "") -> None: ...

    with pytest.raises(ContractError, match="give 'to', 'subject' a default"):
        job(cron="0 9 * * *")(run)


def test_a_job_is_described_by_its_file_and_else_by_its_function() -> None:
    assert run.__doc__ == inspect.getdoc(inspect.getmodule(run.function))

    def other() -> None:
        """Do something else."""

    other.__module__ = "somewhere.else"
    assert job()(other).__doc__ == "Do something else."
