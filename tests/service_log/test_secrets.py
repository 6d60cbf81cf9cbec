"""After a session with failures of every kind no process has said a payload, an address, a password or a key."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from errand.api.http.auth import hash_secret
from errand.local.valkey import EmbeddedValkey
from tests.cli.conftest import run_errand
from tests.conftest import build_environment
from tests.support.processes import signal_all
from tests.support.services import Answer, Process, Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

PLANTED = "plantedword"  # in every payload, address, message, query and secret of the session
ADDRESS = f"{PLANTED}@example.com"
HOOK = {"url": f"https://hooks.invalid/{PLANTED}", "type": "planted", "data": {"word": PLANTED}}

JOB = """
import asyncio
from pydantic import TypeAdapter
from errand import PermanentError, ServiceDownError, job, on_worker_start

RETRY = __import__("errand").Backoff(tries=2, base_seconds=0.1, cap_seconds=0.1)

def look(text: str) -> None:
    {}[text]

@job(retry=RETRY, isolate=ISOLATE)
async def run(text: str, how: str) -> str:
    if how == "key":
        look(text)
    if how == "chain":
        try:
            look(text)
        except KeyError as error:
            raise RuntimeError(f"bad {text}") from error
    if how == "pydantic":
        TypeAdapter(int).validate_python(text)
    if how == "group":
        raise ExceptionGroup(text, [ValueError(text)])
    if how == "permanent":
        raise PermanentError(text)
    if how == "left":
        async def leave():
            raise ValueError(text)
        asyncio.create_task(leave())
        await asyncio.sleep(0.05)
    if how == "result":
        return object()
    if how == "exit":
        raise SystemExit(text)
    return text
"""
HANDLER = """
def broken(job, kind, error, trace):
    raise RuntimeError(f"{job.kwargs} {error}") from error
"""
ROUTE = """

@hello.get("/explode/{word}")
async def explode(word: str) -> None:
    raise ValueError(word)
"""
WAYS = ("key", "chain", "pydantic", "group", "permanent", "left", "result", "exit", "good")


@pytest.fixture
def session(
    project: Path, own_valkey: EmbeddedValkey, sink: ScriptedSink, tmp_path: Path
) -> Iterator[tuple[Services, EmbeddedValkey]]:
    """Processes over a project of the test's own, on a server that knows its user by a password."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    (folder / "jobs/planted.py").write_text(JOB.replace("ISOLATE", "False"))
    (folder / "jobs/planted_alone.py").write_text(JOB.replace("ISOLATE", "True"))
    (folder / "handling.py").write_text(HANDLER)
    with (folder / "service/tutorial.py").open("a") as file:
        file.write(ROUTE)
    allow_user(own_valkey)
    url = own_valkey.url.replace("unix://", f"unix://ada:{PLANTED}@")
    environment = {**build_environment(url, sink, tmp_path), "WEBHOOK_SECRETS": f"whsec_{PLANTED * 4}"}
    services = Services(folder, environment, tmp_path)
    yield services, own_valkey
    services.stop()


def allow_user(valkey: EmbeddedValkey) -> None:
    with Redis.from_url(valkey.url) as redis:
        redis.acl_setuser("ada", True, passwords=[f"+{PLANTED}"], keys=["*"], channels=["*"], commands=["+@all"])


@pytest.mark.parametrize("form", ["json", "local"])
def test_no_process_says_a_payload_an_address_or_a_secret(
    session: tuple[Services, EmbeddedValkey], sink: ScriptedSink, form: str
) -> None:
    services, valkey = session
    headers = set_form(services, form)

    def call(method: str, path: str, body: Any = None, **more: str) -> Answer:
        return services.call(method, path, body, {**headers, **more})

    def send(type: str, payload: Any) -> str:
        return str(call("POST", f"/v1/jobs/{type}", payload).body["id"])

    services.start_api()
    worker = services.start_worker("--exception-handler", "handling.broken")
    ids = [send(type, {"text": PLANTED, "how": how}) for type in ("planted", "planted_alone") for how in WAYS]
    sink.answers |= {ADDRESS: f"550 no {ADDRESS} here", f"later.{ADDRESS}": f"450 not now, {ADDRESS}"}
    ids += [send("email", build_mail(ADDRESS))]
    for later in (send("email", build_mail(f"later.{ADDRESS}")), send("webhook", HOOK)):
        wait_until(lambda id=later: call("GET", f"/v1/jobs/{id}").body["status"] == "scheduled")
    ask_wrongly(call)
    for id in ids:
        wait_until(lambda id=id: call("GET", f"/v1/jobs/{id}").body["status"] in ("finished", "failed"))
    said = ask_by_command(services)
    signal_all(worker.pid, signal.SIGTERM)
    assert worker.wait(30) == 0
    log = services.read_log(worker)
    assert log.count("failed for good: KeyError, jobs/planted") == 2
    held = services.start_worker(SMTP_URL=sink.url.replace("smtp://", f"smtp://ada:{PLANTED}@"))
    send("email", build_mail(f"other.{ADDRESS}"))
    wait_until(lambda: "of email wait: " in services.read_log(held))
    lose_redis(services, valkey, held)
    logs = [services.read_log(process) for process in services.processes]
    assert [line for log in (*logs, said) for line in log.splitlines() if PLANTED in line] == []
    if form == "json":
        lines = [
            line
            for process in (services.processes[0], worker, held)
            for line in services.read_log(process).splitlines()
        ]
        assert [line for line in lines if not is_event(line)] == []


def set_form(services: Services, form: str) -> dict[str, str]:
    """Set the environment of a form; return the headers that its API wants."""
    if form == "local":
        return {}
    del services.environment["ERRAND_LOCAL"]
    services.environment["API_KEYS"] = f"ada:{hash_secret('errand_' + PLANTED)}"
    return {"Authorization": f"Bearer errand_{PLANTED}"}


def build_mail(to: str) -> dict[str, str]:
    return {"to": to, "subject": PLANTED, "text": PLANTED}


def ask_wrongly(call: Callable[..., Answer]) -> None:
    """Send what is refused, what isn't there, and what breaks the service."""
    assert call("POST", f"/send-notification/{ADDRESS}?message={PLANTED}").status == 200
    assert call("POST", f"/send-notification/{PLANTED}?message={PLANTED}").status == 422
    assert call("POST", "/v1/jobs/email", {"to": PLANTED, "subject": [PLANTED]}).status == 422
    assert call("GET", f"/v1/jobs?tag={PLANTED}&what={PLANTED}").status == 422
    assert call("GET", f"/nothing/{ADDRESS}?word={PLANTED}").status == 404
    assert call("GET", f"/v1/jobs/{ADDRESS}").status == 404
    assert call("GET", f"/explode/{PLANTED}").status == 500
    assert call("GET", "/v1/jobs", None, Authorization=f"Bearer {PLANTED}").status in (200, 401)
    assert call("GET", "/livez", None, **{"X-Request-ID": ADDRESS}).status == 200


def ask_by_command(services: Services) -> str:
    """Return what the command line says that asks, with its key and with a wrong one."""
    said = ""
    for words in (["list"], ["queues", "--once"], ["status", "nothing"], ["send", "email", "{}"]):
        for given in (f"errand_{PLANTED}", f"errand_{PLANTED}_wrong"):
            done = run_errand(*words, ERRAND_URL=services.base_url, ERRAND_KEY=given)
            said += done.out + done.err
    return said


def lose_redis(services: Services, valkey: EmbeddedValkey, worker: Process) -> None:
    """Let the server end, and come back without the user that the processes are."""
    valkey.stop()
    wait_until(lambda: "Redis is away" in services.read_log(worker))
    wait_until(lambda: services.call("GET", "/readyz").status == 503)
    valkey.start()
    services.run(sys.executable, "-m", "service", "check").wait(30)
    allow_user(valkey)
    wait_until(lambda: "Redis answers again" in services.read_log(worker))


def is_event(line: str) -> bool:
    try:
        return {"time", "level", "event", "logger"} <= json.loads(line).keys()
    except ValueError:
        return False
