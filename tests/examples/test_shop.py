"""The shop: its own tests, and from the wheel with two workers, one of them killed, and a deploy in the middle."""

import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from tests.examples.conftest import SHOP
from tests.examples.release import Customers, Release
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until


def run_own_tests(folder: Path, python: str | Path, *options: str, **environment: str) -> str:
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *options]
    given = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False).stdout


@pytest.mark.thorough
def test_its_own_tests_pass_here() -> None:
    told = run_own_tests(SHOP, sys.executable, "-p", "errand.testing.plugin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "8 passed" in told, told


@pytest.mark.slow
def test_the_wheel_has_one_package(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"errand"}


@pytest.mark.slow
def test_its_own_tests_pass_with_the_wheel(shop: Path) -> None:
    told = run_own_tests(shop, shop / "venv/bin/python")
    assert "8 passed" in told, told


@pytest.mark.slow
def test_it_needs_nothing_of_this_tree(shop: Path) -> None:
    asked = "import errand, shop.main; print(errand.__file__)"
    command = [str(shop / "venv/bin/python"), "-W", "error", "-c", asked]
    told = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=False)
    assert told.stdout.startswith(f"{shop}/venv/"), told.stderr


@pytest.mark.slow
def test_a_killed_worker_and_a_deploy_cost_no_order(release: Release, redis: Redis, sink: ScriptedSink) -> None:
    release.start()
    with Customers(release) as customers:
        customers.wait_for_more(20)
        jobs = wait_until(lambda: release.order("large", 100))  # five seconds of packing
        release.kill(wait_until(lambda: find_worker(redis, jobs[1])))
        customers.wait_for_more(20)
        pack = release.project / "shop/jobs/pack.py"
        pack.write_text(pack.read_text().replace("in a box", "in a bag"))
        release.deploy()
        customers.wait_for_more(20)
    orders = {**customers.orders, "large": jobs}
    wait_until(lambda: redis.zcard("rq:finished:email") == len(orders), 60)
    assert all(order["paid_at"] and order["packed_at"] for order in map(release.read_order, orders))
    found = {id: release.read(id) for ids in orders.values() for id in ids}
    assert {job["status"] for job in found.values()} == {"finished"}
    assert found[jobs[1]]["losses"] == 1
    assert {found[ids[1]]["result"].split()[-1] for ids in orders.values()} == {"box", "bag"}
    mails = Counter(mail.recipients[0].partition("@")[0] for mail in sink.mails)
    assert mails.keys() == orders.keys()
    for key, ids in orders.items():
        ran = [(found[id]["attempts"], found[id]["losses"]) for id in ids]
        assert all(attempts == losses + 1 for attempts, losses in ran), (key, ran)
        assert mails[key] == 1 or ran[2][1], key


def find_worker(redis: Redis, job: str) -> int | None:
    """Return the process that runs a job."""
    if redis.hget(f"rq:job:{job}", "status") != b"started":
        return None
    name = redis.hget(f"rq:job:{job}", "worker_name") or b""
    return int(redis.hget(f"rq:worker:{name.decode()}", "pid") or 0) or None
