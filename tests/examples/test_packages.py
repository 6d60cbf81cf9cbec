"""Applications with a package `jobs` of their own, and two Errands in one process, with real workers."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from errand.local.valkey import EmbeddedValkey
from tests.support.project import ROOT
from tests.support.services import pass_coverage

JOB = """
from errand import job


@job()
def run(name: str) -> str:
    return f"{name} of {__name__}"
"""
POST = """
from fastapi.testclient import TestClient

from main import app

with TestClient(app, base_url="http://localhost") as client:
    for path in ("/welcome", "/errand/v1/jobs/welcome"):
        answer = client.post(path, json={"name": "ada"})
        assert answer.status_code in (200, 202), answer.text
"""
ENDPOINT = """
app = FastAPI(lifespan=errand.lifespan)
app.mount("/errand", errand.app)


@app.post("/welcome")
async def post(tasks: Tasks) -> str:
    return tasks.add_task(welcome.run, "ada")
"""
IMPORTS = "from fastapi import FastAPI\n\nfrom errand import Errand\nfrom errand.fastapi import Tasks\n"
FOR_RQ = "QUEUES, REDIS_URL, Worker = errand.configure_worker()\n"
ERRAND = (sys.executable, "-c", "from errand.cli.main import main; main()")
BURST = (*ERRAND, "worker", "main:errand", "--burst")
RQ_BURST = (sys.executable, "-m", "rq.cli", "worker", "-c", "worker", "-w", "worker.Worker", "--burst")
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, valkey: EmbeddedValkey, redis: Redis) -> Run:
    """Runs a command in the application's folder."""

    def run(*command: str, **environment: str) -> str:
        settings = {"PATH": os.environ["PATH"], "REDIS_URL": valkey.url, "ERRAND_LOCAL": "1", **pass_coverage()}
        settings["PYTHONPATH"] = str(ROOT)  # after the folder, whose jobs come first
        told = subprocess.run(
            command, cwd=tmp_path, env={**settings, **environment}, capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stderr
        return told.stderr

    return run


def write(folder: Path, **files: str) -> None:
    """Write modules, `shop__jobs__welcome` is shop/jobs/welcome.py, with the packages that they are in."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for package in path.parents:
            if package == folder:
                break
            (package / "__init__.py").touch()


def read_results(redis: Redis) -> list[str]:
    """Return what the finished jobs have returned."""
    ids = redis.zrange("rq:finished:default", 0, -1)
    stored = [redis.xrevrange(f"rq:results:{id.decode()}", count=1)[0][1][b"return_value"] for id in ids]
    return sorted(json.loads(b64decode(value)) for value in stored)


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["errand", pytest.param("rq", marks=pytest.mark.slow)])
def test_a_package_jobs_that_is_no_errands_is_left_alone(run: Run, redis: Redis, tmp_path: Path, command: str) -> None:
    write(tmp_path, shop__jobs__welcome=JOB, jobs__models="x = 1 / 0\n", jobs__views="raise RuntimeError\n")
    (tmp_path / "jobs/__init__.py").write_text("raise RuntimeError('jobs was imported')\n")
    main = IMPORTS + 'from shop.jobs import welcome\n\nerrand = Errand("shop.jobs")\n'
    write(tmp_path, main=main + ENDPOINT, worker="from main import errand\n" + FOR_RQ)
    run(sys.executable, "-c", POST)
    run(*(BURST if command == "errand" else RQ_BURST))
    assert read_results(redis) == ["ada of shop.jobs.welcome"] * 2


@pytest.mark.slow
def test_a_package_jobs_of_ones_own_is_an_errands(run: Run, redis: Redis, tmp_path: Path) -> None:
    main = IMPORTS + 'from jobs import welcome\n\nerrand = Errand("jobs")\n'
    write(tmp_path, jobs__welcome=JOB, main=main + ENDPOINT)
    run(sys.executable, "-c", POST)
    run(*BURST)
    assert read_results(redis) == ["ada of jobs.welcome"] * 2


@pytest.mark.slow
def test_two_errands_in_one_process_have_a_worker_each(
    run: Run, redis: Redis, tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    other = valkey.url.replace("/0", "/1") if valkey.url.startswith("redis") else f"{valkey.url}?db=1"
    main = f"""
import sys

from errand import Errand
from blog.jobs import welcome as blog_welcome
from jobs import welcome

shop, blog = Errand("jobs"), Errand("blog.jobs", redis_url={other!r})
if sys.argv[1:] == ["store"]:
    welcome.run.store_sync("ada")
    blog_welcome.run.store_sync("bob")
"""
    write(tmp_path, jobs__welcome=JOB, blog__jobs__welcome=JOB, main=main)
    run(sys.executable, "main.py", "store")
    blog = Redis.from_url(other)
    run(*ERRAND, "worker", "main:blog", "--burst")
    assert (read_results(redis), read_results(blog)) == ([], ["bob of blog.jobs.welcome"])
    run(*ERRAND, "worker", "main:shop", "--burst")
    assert read_results(redis) == ["ada of jobs.welcome"]
    blog.close()
