"""Which Errand of a process a job belongs to."""

from types import SimpleNamespace
from typing import Any

import pytest

from errand.contract.from_python import home
from errand.contract.from_python.home import HomelessJobError, find_home, settle


class House:
    """Stands for an Errand, as far as it is looked for."""

    def __init__(self, package: str) -> None:
        self.package = package


def build_house(package: str) -> Any:
    return House(package)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_homes", [])


def build_job(module: str) -> Any:
    return SimpleNamespace(module=module, path=f"{module}.run.perform")


def test_each_package_has_its_own() -> None:
    shop, mail = build_house("shop.jobs"), build_house("mail.jobs")
    settle(shop)
    settle(mail)
    assert find_home(build_job("shop.jobs.pack")) is shop
    assert find_home(build_job("mail.jobs.send")) is mail


def test_of_two_of_one_package_the_last_one_is_found_and_the_first_one_when_that_is_gone() -> None:
    first, last = build_house("shop.jobs"), build_house("shop.jobs")
    settle(first)
    settle(last)
    assert find_home(build_job("shop.jobs.pack")) is last
    del last
    assert find_home(build_job("shop.jobs.pack")) is first


def test_a_job_of_a_package_that_none_has_is_refused() -> None:
    shop = build_house("shop.jobs")
    settle(shop)
    with pytest.raises(HomelessJobError):
        find_home(build_job("mail.jobs.send"))
