"""When a job that was planned is due, by the clock of where it is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from errand.contract.from_python.options import FARTHEST_SECONDS, Asked
from errand.store.from_python.planned import plan
from tests.support.job_types import TALLY

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FARTHEST = timedelta(seconds=FARTHEST_SECONDS)


def find_due(**asked: Any) -> datetime | None:
    return plan(TALLY, {"number": 1}, Asked(**asked)).build(NOW).run_at


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ({}, None),
        ({"delay_seconds": 0}, None),
        ({"delay_seconds": 1}, NOW + SECOND),
        ({"run_at": NOW - SECOND}, None),
        ({"run_at": NOW}, None),
        ({"run_at": NOW + SECOND}, NOW + SECOND),
        ({"run_at": NOW + FARTHEST}, NOW + FARTHEST),
    ],
)
def test_a_job_is_due_when_it_was_asked_for(asked: dict[str, Any], due: datetime | None) -> None:
    assert find_due(**asked) == due


def test_more_than_ten_years_from_now_is_refused() -> None:
    with pytest.raises(ValueError, match="more than ten years away"):
        find_due(run_at=NOW + FARTHEST + SECOND)


@pytest.mark.parametrize("when", [{"delay_seconds": 60}, {"run_at": NOW + 60 * SECOND}])
def test_a_job_may_expire_after_it_is_due_alone(when: dict[str, Any]) -> None:
    assert find_due(**when, expires_in_seconds=61) == NOW + 60 * SECOND
    with pytest.raises(ValueError, match="it would expire before it is due"):
        find_due(**when, expires_in_seconds=60)


@pytest.mark.parametrize(
    ("asked", "unique"),
    [({}, None), ({"unique_key": "k"}, ("k", False)), ({"unique_key": "k", "replace": True}, ("k", True))],
)
def test_a_unique_key_comes_with_whether_it_replaces(asked: dict[str, Any], unique: tuple[str, bool] | None) -> None:
    assert plan(TALLY, {"number": 1}, Asked(**asked)).build(NOW).unique == unique


def test_it_comes_after_what_came_before_unless_it_waits_for_something_else() -> None:
    before, other = ("00000000-0000-0000-0000-000000000001",), "00000000-0000-0000-0000-000000000002"
    planned = [
        plan(TALLY, {"number": 1}, asked, before)
        for asked in (Asked(), Asked(delay_seconds=0), Asked(delay_seconds=1), Asked(after=other), Asked(after=()))
    ]
    assert [each.after for each in planned] == [before, before, (), (other,), ()]
