"""`errand check` of an application's own Errand, and of a container's worker."""

import socket
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq.utils import utcformat
from typer.testing import CliRunner, Result

import service  # so that it comes back when the test ends
from errand.cli.main import app
from errand.local.valkey import EmbeddedValkey, find_free_port
from errand.redis.clock import Clock
from errand.redis.keys import SILENT_SECONDS

MODULE = 'from errand import Errand\n\nerrand = Errand("tests.app.shop.jobs")\n'


def check(*words: str, **settings: str) -> Result:
    return CliRunner().invoke(app, ["check", *words], env=settings)


def register(redis: Redis, hostname: str, silent_seconds: float) -> None:
    """Register a worker whose last heartbeat is this long ago."""
    clock = Clock()
    clock.ask(redis)
    heard = utcformat(clock.moment() - timedelta(seconds=silent_seconds))
    redis.sadd("rq:workers", "rq:worker:one")
    redis.hset(
        "rq:worker:one", mapping={"hostname": hostname, "last_heartbeat": heard, "birth": heard, "queues": "log"}
    )


def test_a_worker_of_this_host_is_at_work(valkey: EmbeddedValkey, redis: Redis) -> None:
    register(redis, socket.gethostname(), 1)
    found = check("--worker", REDIS_URL=valkey.url)
    assert (found.exit_code, found.stdout) == (0, "ok    worker: one\n")


@pytest.mark.parametrize(
    ("hostname", "silent_seconds"),
    [("another", 1), (socket.gethostname(), SILENT_SECONDS + 60)],
    ids=["other", "silent"],
)
def test_a_worker_that_is_elsewhere_or_silent_does_not_count(
    hostname: str, silent_seconds: float, valkey: EmbeddedValkey, redis: Redis
) -> None:
    register(redis, hostname, silent_seconds)
    found = check("--worker", REDIS_URL=valkey.url)
    assert (found.exit_code, found.stdout) == (1, f"FAIL  worker: none runs on {socket.gethostname()}\n")


def test_a_worker_is_not_called_dead_while_redis_is_away() -> None:
    found = check("--worker", REDIS_URL=f"redis://127.0.0.1:{find_free_port()}/0")
    assert found.exit_code == 0
    assert found.stdout.startswith("WARN  Redis: ")


@pytest.mark.parametrize("mounted", [False, True])
def test_an_application_needs_api_keys_only_where_it_mounts_the_api(
    mounted: bool, valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"shop_{'with' if mounted else 'without'}_api"
    (tmp_path / f"{name}.py").write_text(MODULE + ("api = errand.app\n" if mounted else ""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = check(f"{name}:errand", REDIS_URL=valkey.url)
    assert found.exit_code == mounted
    assert ("API_KEYS is not set" if mounted else "ok    settings, and 2 job types: reminder, welcome") in found.stdout


def test_a_service_that_imports_what_is_gone_is_told_with_its_line(
    valkey: EmbeddedValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").touch()
    (tmp_path / "service" / "app.py").write_text("from errand import job, gone\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert service.__name__ in sys.modules
    for name in [name for name in sys.modules if name.partition(".")[0] == "service"]:
        monkeypatch.delitem(sys.modules, name)
    found = check(REDIS_URL=valkey.url)
    assert found.exit_code == 1
    assert "FAIL  service: service/app.py:1: ImportError: cannot import name 'gone' from 'errand'" in found.stdout


def test_a_wrong_setting_of_the_worker_is_named(redis_url: str) -> None:
    found = check(REDIS_URL=redis_url, WORKER_MAX_MB="much")
    assert found.exit_code == 1
    assert "FAIL  settings: WORKER_MAX_MB is wrong" in found.stdout
