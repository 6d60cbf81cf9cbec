"""`@job(rate=…)`."""

import pytest

from errand import ContractError, job
from errand.contract.rate import Rate, read_rate


@pytest.mark.parametrize(
    ("text", "rate"), [("14/s", Rate(14, 1)), ("100/m", Rate(100, 60)), ("1000/h", Rate(1000, 3600))]
)
def test_a_rate_is_so_many_a_second_a_minute_or_an_hour(text: str, rate: Rate) -> None:
    assert read_rate(text) == rate


@pytest.mark.parametrize("text", ["", "14", "14/d", "0/s", "-1/s", "1.5/s", "14 / s", "14/s ", "१४/s", 14])
def test_anything_else_is_refused_with_the_file_and_the_fix(text: str) -> None:
    with pytest.raises(ContractError, match=r'^tests/contract/test_rate.py: rate .*"14/s", "100/m", "1000/h"'):

        @job(rate=text)
        def run() -> None: ...


def test_more_than_redis_should_remember_is_refused() -> None:
    assert read_rate("10000/h") == Rate(10_000, 3600)
    with pytest.raises(ContractError, match="rate '10001/h': give at most 10,000"):

        @job(rate="10001/h")
        def run() -> None: ...


def test_without_one_there_is_none() -> None:
    @job()
    def run() -> None: ...

    assert run.rate is None
