"""What may be asked of a new job beside its payload: up to its limits, and no further."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from errand.contract.from_python.options import FARTHEST_SECONDS, NOTHING, Asked, split

IDS = [str(UUID(int=number)) for number in range(101)]
SOON = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("delay_seconds", [0, 0.5, FARTHEST_SECONDS], [-0.1, FARTHEST_SECONDS + 1, float("inf"), float("nan")]),
        ("expires_in_seconds", [1, FARTHEST_SECONDS], [0.9, FARTHEST_SECONDS + 1, float("inf")]),
        ("run_at", [SOON], [SOON.replace(tzinfo=None)]),
        ("after", [IDS[0], IDS[:100], (IDS[0],) * 101], [IDS, "none", ["none"]]),
        ("on_failure", ["cancel", "run", "wait"], ["", "fail"]),
        ("tags", [(), ["a"] * 10, ["x" * 64]], [["a"] * 11, ["x" * 65], ["a b"], [""]]),
        ("timeout_seconds", [1, 86_400], [0, 86_401]),
        ("tries", [1, 1_000], [0, 1_001]),
        ("key", ["k", "k" * 255], ["", "k" * 256]),
        ("unique_key", ["k", "k" * 64], ["", "k" * 65, "a b"]),
    ],
)
def test_an_option_goes_up_to_its_limit_and_is_refused_beyond_it(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(Asked(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(ValueError, match=f"^{name}[ :]"):
            Asked(**{name: value})


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"delay_seconds": 1, "run_at": SOON}, "give delay_seconds or run_at, not both"),
        ({"delay_seconds": 1, "after": IDS[0]}, "waits for others .* or for a time"),
        ({"run_at": SOON, "after": IDS[0]}, "waits for others .* or for a time"),
        ({"replace": True}, "replace is for jobs with a unique_key"),
        ({"unique_key": "k", "key": "k"}, "give key .* or unique_key"),
        ({"unique_key": "k", "replace": True, "after": IDS[0]}, "leave after out"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Asked(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"unique_key": "k", "replace": True},
        {"unique_key": "k", "after": IDS[0]},
        {"key": "k", "after": IDS[0]},
        {"delay_seconds": 0, "after": IDS[0]},
        {"delay_seconds": 1, "expires_in_seconds": 2},
    ],
)
def test_what_goes_together_is_taken(options: dict[str, Any]) -> None:
    assert {name: getattr(Asked(**options), name) for name in options} == options


def test_a_delay_of_nothing_waits_for_no_time() -> None:
    asked = [Asked(), Asked(delay_seconds=0, after=IDS[0]), Asked(delay_seconds=1), Asked(run_at=SOON)]
    assert [each.is_timed for each in asked] == [False, False, True, True]


def test_a_key_gives_the_same_function_the_same_id_and_none_another_each_time() -> None:
    keyed = Asked(key="order 7")
    assert keyed.choose_id("jobs.a.run.perform") == keyed.choose_id("jobs.a.run.perform")
    assert keyed.choose_id("jobs.a.run.perform") != keyed.choose_id("jobs.b.run.perform")
    assert NOTHING.choose_id("jobs.a.run.perform") != NOTHING.choose_id("jobs.a.run.perform")


def test_a_parameter_called_like_an_option_is_the_payloads() -> None:
    options = {"to": "ada", "tags": ["mine"], "tries": 3}
    assert split(NOTHING, options, ["to", "tags"]) == (Asked(tries=3), {"to": "ada", "tags": ["mine"]})
    assert split(NOTHING, {"to": "ada", "tags": ["mine"]}, ["to", "tags"]) == (NOTHING, {"to": "ada", "tags": ["mine"]})
