"""For how long a mail is tried, as the environment says."""

import random

import pytest

from errand.mail.retry import read_retry
from jobs import email


@pytest.mark.parametrize("value", ["", "two days", "0", "-3", "nan", "inf"])
def test_what_can_not_be_read_means_48_hours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAIL_TRY_HOURS", value)
    assert (read_retry().hours, read_retry().base_seconds, read_retry().cap_seconds) == (48, 2, 7200)


def test_the_job_has_the_policy_of_the_environment_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_TRY_HOURS", "1.5")
    assert email.run.retry.hours == 1.5
    assert email.run.retry is read_retry()
    monkeypatch.delenv("MAIL_TRY_HOURS")
    assert email.run.retry.hours == 48


@pytest.mark.parametrize("hours", ["0.01", "1", "48", "240"])
def test_the_hours_end_it_and_not_the_tries(monkeypatch: pytest.MonkeyPatch, hours: str) -> None:
    monkeypatch.setenv("MAIL_TRY_HOURS", hours)
    retry, drawn = read_retry(), random.Random(7)
    for _ in range(200):
        ceilings = (min(7200, retry.base_seconds * 2**n) for n in range(retry.retries))
        assert sum(max(1, drawn.uniform(0, ceiling)) for ceiling in ceilings) > float(hours) * 3600


def test_a_plain_worker_ends_too() -> None:
    assert (read_retry().retries, read_retry().draw_seconds()) == (115, [7200])
