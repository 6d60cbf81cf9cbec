"""Workers of an application's own jobs, as real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from errand import Errand
from errand.builtin import log
from errand.local.valkey import EmbeddedValkey
from errand.redis.connection import UrlConnector
from tests.app.shop.jobs import reminder, welcome
from tests.support.project import ROOT
from tests.support.services import pass_coverage

MODULE = """
from errand import Errand

errand = Errand("tests.app.shop.jobs", builtin=["email", "log"])
"""
FOR_RQ = MODULE + "QUEUES, REDIS_URL, Worker = errand.configure_worker()\n"


@pytest.fixture
def errand(valkey: EmbeddedValkey, redis: Redis) -> Errand:
    return Errand("tests.app.shop.jobs", builtin=["email", "log"], connector=UrlConnector(valkey.url))


def run(folder: Path, url: str, module: str, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an application's folder."""
    (folder / "shop_main.py").write_text(module)
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder}", "REDIS_URL": url, **pass_coverage()}
    settings |= {"LOG_URL": f"file:{folder}/log.txt", **environment}
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=60)


RQ = (sys.executable, "-m", "rq.cli", "worker")
BURST = (sys.executable, "-m", "service", "worker", "shop_main", "--burst")
MAIL = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "shop@example.com"}


def store_welcome_of(package: str, valkey: EmbeddedValkey) -> str:
    """Store the job as an application does that has it in another package."""
    other = Errand(package, connector=UrlConnector(valkey.url))
    other.types = {"welcome": welcome.run.adopt(f"{package}.welcome")}
    return other.types["welcome"].store_sync("ada")


@pytest.mark.parametrize(
    "command",
    [
        (*RQ, "-c", "shop_main", "-w", "shop_main.Worker", "--burst"),
        (sys.executable, "-m", "service", "worker", "shop_main:errand", "--burst"),
    ],
    ids=["rq-worker", "errand-worker"],
)
def test_a_worker_runs_the_applications_jobs_and_builtin_ones(
    errand: Errand, valkey: EmbeddedValkey, redis: Redis, tmp_path: Path, command: tuple[str, ...]
) -> None:
    mine = welcome.run.store_sync("ada")
    line = log.run.store_sync("it works")
    next = reminder.run.store_sync("ada", after=mine)
    module = FOR_RQ if "rq.cli" in command else MODULE
    ended = run(tmp_path, valkey.url, module, *command, **MAIL)
    assert ended.returncode == 0, ended.stderr
    assert [redis.hget(f"rq:job:{id}", "status") for id in (mine, line, next)] == [b"finished"] * 3
    assert "it works" in (tmp_path / "log.txt").read_text()


@pytest.mark.thorough
def test_a_plain_rq_worker_runs_them_as_well(
    errand: Errand, valkey: EmbeddedValkey, redis: Redis, tmp_path: Path
) -> None:
    ids = [welcome.run.store_sync("ada"), log.run.store_sync("it works")]
    ended = run(tmp_path, valkey.url, MODULE, *RQ, "-S", "json", "--url", valkey.url, "--burst", "shop", "log")
    assert [redis.hget(f"rq:job:{id}", "status") for id in ids] == [b"finished"] * 2, ended.stderr


@pytest.mark.thorough
def test_a_worker_asks_for_the_settings_of_its_own_queues_alone(
    errand: Errand, valkey: EmbeddedValkey, redis: Redis, tmp_path: Path
) -> None:
    id = welcome.run.store_sync("ada")
    ended = run(tmp_path, valkey.url, MODULE, *BURST)
    assert ended.returncode == 1
    assert "SMTP_URL is not set and errand/builtin/email.py needs it" in ended.stderr
    assert run(tmp_path, valkey.url, MODULE, *BURST, "--queue", "shop").returncode == 0
    assert redis.hget(f"rq:job:{id}", "status") == b"finished"


@pytest.mark.thorough
def test_a_job_stored_before_its_file_moved_into_the_application_runs(
    valkey: EmbeddedValkey, redis: Redis, tmp_path: Path
) -> None:
    id = store_welcome_of("jobs", valkey)
    run(tmp_path, valkey.url, MODULE, *BURST, "-q", "shop")
    assert redis.hget(f"rq:job:{id}", "status") == b"finished"


@pytest.mark.thorough
def test_a_job_of_another_application_with_the_same_name_fails_and_says_why(
    errand: Errand, valkey: EmbeddedValkey, redis: Redis, tmp_path: Path
) -> None:
    id = store_welcome_of("elsewhere", valkey)
    run(tmp_path, valkey.url, MODULE, *BURST, "-q", "shop")
    assert b"need a Redis database each" in (redis.hget(f"rq:job:{id}", "errand_error") or b"")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("target", "fault"),
    [("nowhere:errand", "there is no module 'nowhere' here"), ("shop_main:shop", "has no Errand named 'shop'")],
)
def test_a_wrong_target_is_refused(valkey: EmbeddedValkey, tmp_path: Path, target: str, fault: str) -> None:
    ended = run(tmp_path, valkey.url, MODULE, sys.executable, "-m", "service", "worker", target, COLUMNS="200")
    assert ended.returncode == 2
    assert fault in ended.stderr
