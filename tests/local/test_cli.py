"""The `errand` command: keys, the check before a release; and the Procfile's lines."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from errand.cli.main import app
from errand.local.valkey import EmbeddedValkey, find_free_port
from tests.conftest import ROOT
from tests.support.processes import find_descendants, list_processes
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

MAIL = {"SMTP_URL": "smtp://127.0.0.1:1", "MAIL_FROM": "Errand <errand@example.com>"}
KEY = {"API_KEYS": "ada:" + hashlib.sha256(b"secret").hexdigest()}


def errand(*words: str, **settings: str) -> Result:
    """Run the command in this process, with these settings alone."""
    return CliRunner().invoke(app, words, env=settings)


def test_help_names_every_command() -> None:
    command = [sys.executable, "-m", "service", "--help"]
    found = subprocess.run(command, cwd=ROOT, env={"COLUMNS": "80"}, capture_output=True, text=True, check=False)
    assert found.returncode == 0
    for name in ("up", "demo", "key", "check"):
        assert re.search(rf"│ {name} +\w", found.stdout)
    assert found.stderr == ""


def test_a_key_shows_its_secret_once_and_the_line_holds_its_hash() -> None:
    found = errand("key", "ada")
    (secret,) = re.findall(r"^Secret, shown only now: (errand_\S{43})$", found.stdout, re.MULTILINE)
    assert found.stdout.count(secret) == 1
    assert found.stdout.splitlines()[-1] == f"API_KEYS=ada:{hashlib.sha256(secret.encode()).hexdigest()}"


def test_a_key_is_appended_to_those_that_are_set() -> None:
    line = errand("key", "bob", **KEY).stdout.splitlines()[-1]
    assert re.fullmatch(rf"API_KEYS={KEY['API_KEYS']},bob:[0-9a-f]{{64}}", line)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a,b", "ä", "a\n"])
def test_a_bad_name_for_a_key_is_refused(name: str) -> None:
    found = errand("key", name)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == "errand: a key's name may hold letters, digits, _ . and -\n"


def test_a_name_that_has_a_key_is_refused() -> None:
    found = errand("key", "ada", **KEY)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == "errand: API_KEYS has a key ada already; take that entry out, or choose another name\n"


def test_check_tells_every_missing_setting_with_the_line_to_set() -> None:
    found = errand("check")
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert all(line.startswith("FAIL  settings: ") for line in lines)
    for line in ("SMTP_URL=smtp://", "MAIL_FROM='", "`errand key NAME`", "REDIS_URL=redis://"):
        assert sum(line in told for told in lines) == 1


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "unix:///no/such.sock"])
def test_check_fails_where_redis_is_away(url: str) -> None:
    found = errand("check", REDIS_URL=url.format(port=find_free_port()), **MAIL, **KEY)
    assert (found.exit_code, found.stderr) == (1, "")
    assert "\nFAIL  Redis: " in found.stdout


def test_check_fails_on_a_redis_that_evicts(valkey: EmbeddedValkey, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = errand("check", REDIS_URL=valkey.url, **MAIL, **KEY)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert found.exit_code == 1
    assert "FAIL  Redis: REDIS_URL: the server's maxmemory-policy is allkeys-lru" in found.stdout


def test_check_warns_of_a_mail_server_that_is_away(valkey: EmbeddedValkey) -> None:
    found = errand("check", REDIS_URL=valkey.url, **MAIL, **KEY)
    assert (found.exit_code, found.stderr) == (0, "")
    assert "ok    Redis: every write is on disk" in found.stdout
    assert "\nWARN  email: " in found.stdout


def test_check_is_content_where_all_is_well(valkey: EmbeddedValkey, sink: ScriptedSink) -> None:
    found = errand("check", REDIS_URL=valkey.url, SMTP_URL=sink.url, MAIL_FROM=MAIL["MAIL_FROM"], **KEY)
    assert found.exit_code == 0
    assert found.stdout.splitlines()[0].startswith("ok    settings, and ")
    assert all(line.startswith("ok ") for line in found.stdout.splitlines())


def read_procfile(name: str) -> str:
    """Return a line of the Procfile, for loopback alone."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    return lines[name].replace("0.0.0.0", "127.0.0.1")


@pytest.fixture
def platform(services: Services) -> Services:
    """The environment a platform would give: every setting is there, and nothing of `errand up`."""
    for name in ("ERRAND_LOCAL", "LOG_URL", "PYTHONUNBUFFERED"):
        services.environment.pop(name)
    services.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    services.environment |= {**KEY, "PORT": str(find_free_port())}
    services.base_url = f"http://127.0.0.1:{services.environment['PORT']}"
    return services


def answers(platform: Services) -> bool:
    try:
        return platform.call("GET", "/readyz").status == 200
    except OSError:
        return False


def test_the_procfile_serves_with_keys_and_drains_to_stdout(platform: Services) -> None:
    release = platform.run("sh", "-c", read_procfile("release"))
    assert release.wait(20) == 0, platform.read_log(release)
    platform.run("sh", "-c", read_procfile("web"))
    worker = platform.run("sh", "-c", read_procfile("worker"))
    wait_until(lambda: answers(platform))
    assert platform.call("POST", "/v1/jobs/log", {"text": "to stdout"}).status == 401
    key = {"Authorization": "Bearer secret"}
    assert platform.call("POST", "/v1/jobs/log", {"text": "to stdout"}, key).status == 202
    wait_until(lambda: "to stdout" in platform.read_log(worker))
    family = find_descendants(worker.pid) | {worker.pid}
    for pid in family:
        os.kill(pid, signal.SIGTERM)  # as a platform does: to all of them
    assert worker.wait(15) in (0, -signal.SIGTERM)
    wait_until(lambda: not family & set(list_processes()))


def test_without_keys_the_web_line_ends_and_says_why(platform: Services) -> None:
    del platform.environment["API_KEYS"]
    web = platform.run("sh", "-c", read_procfile("web"))
    assert web.wait(20) != 0
    assert platform.read_log(web).startswith("errand: API_KEYS is not set: anyone could post jobs.")


@pytest.mark.quick("worker")
@pytest.mark.parametrize("name", ["worker", "release"])
def test_without_a_mail_server_no_line_that_sends_starts_and_each_names_the_line_to_set(
    platform: Services, name: str
) -> None:
    del platform.environment["SMTP_URL"]
    process = platform.run("sh", "-c", read_procfile(name))
    assert process.wait(20) != 0
    said = platform.read_log(process)
    assert "SMTP_URL is not set and jobs/email.py needs it; set SMTP_URL=smtp://" in said
    assert len(said.splitlines()) == 1


def test_without_a_mail_server_the_web_line_starts_for_it_only_stores(platform: Services) -> None:
    del platform.environment["SMTP_URL"]
    web = platform.run("sh", "-c", read_procfile("web"))
    wait_until(lambda: "Application startup complete" in platform.read_log(web) or web.poll() is not None)
    assert web.poll() is None, platform.read_log(web)
