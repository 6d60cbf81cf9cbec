"""What docs/from-celery.md shows works as written.

Celery is not one of this project's dependencies: its code is always compiled, and run where Celery is installed.
"""

from importlib import import_module
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from errand.local.valkey import EmbeddedValkey
from tests.app.moving import RunTests, importing, read_page, run, write

PAGE = read_page("from-celery.md")
BANK = """
sent = []


class Unreachable(Exception):
    pass


class Declined(Exception):
    pass


def charge(order):
    return f"A{order}"


def send_receipt(number, order):
    sent.append((number, order))


def count_sales(branch):
    return 10 * branch


def remind():
    sent.append("all")
"""
OWN = {"shop/bank.py": BANK}


@pytest.mark.parametrize("name", PAGE.before)
def test_before_is_python(name: str) -> None:
    compile(PAGE.before[name], name, "exec")


def test_before_runs_where_celery_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("celery", reason="Celery is not installed, and nothing but its page needs it")
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "cache+memory://")
    write(tmp_path, OWN, PAGE.before)
    with importing(tmp_path, monkeypatch):
        orders, app = import_module("shop.orders"), import_module("shop.celery_app").app
        app.conf.task_always_eager = True  # a worker in threads has no chord on this backend
        app.loader.import_default_modules()
        orders.pay(7)
        assert import_module("shop.bank").sent == [("A7", 7)]
        assert app.conf.beat_schedule["remind"]["task"] in app.tasks


def test_after_runs_as_it_stands(tmp_path: Path, run_tests: RunTests) -> None:
    write(tmp_path, OWN, PAGE.after)
    assert len(run_tests(tmp_path, "shop.orders:errand")) == 5


def run_worker(folder: Path, url: str, store: str, later: str) -> str:
    """Run a worker over the page's files and a job more, after `store`; return what that printed."""
    write(folder, OWN, PAGE.after, {"shop/jobs/later.py": later, "store.py": store})
    stored = run(folder, "store", REDIS_URL=url)
    ended = run(folder, "service", "worker", "shop.orders:errand", "--burst", REDIS_URL=url)
    assert (stored.returncode, ended.returncode) == (0, 0), stored.stderr + ended.stderr
    return stored.stdout.strip()


LATER = """
from errand import job
from shop.jobs import send_receipt


@job()
def run() -> str:
    return send_receipt.run.store_sync("A7", 7, delay_seconds=60)
"""


@pytest.mark.thorough
def test_a_job_stores_another_one_with_a_delay(valkey: EmbeddedValkey, redis: Redis, tmp_path: Path) -> None:
    store = "from shop.orders import errand; from shop.jobs import later; later.run.store_sync()"
    run_worker(tmp_path, valkey.url, store, LATER)
    assert redis.zcard("rq:scheduled:default") == 1


DOUBLE = """
from rq import get_current_job

from errand import job


@job()
def run() -> int:
    return 2 * get_current_job().dependency.return_value()
"""
STORE_DOUBLE = """
from shop.jobs import count_sales, later
from shop.orders import errand

print(later.run.store_sync(after=count_sales.run.store_sync(4)))
"""


@pytest.mark.thorough
def test_a_job_reads_what_the_one_before_gave(valkey: EmbeddedValkey, redis: Redis, tmp_path: Path) -> None:
    id = run_worker(tmp_path, valkey.url, STORE_DOUBLE, DOUBLE)
    assert Job.fetch(id, connection=redis, serializer=JSONSerializer).return_value() == 80
