"""Errand in somebody's FastAPI application."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from fastapi import FastAPI
from redis import Redis
from starlette.testclient import TestClient

from errand import Errand
from errand.app.errand import NotStartedError
from errand.contract.from_python.home import HomelessJobError
from errand.fastapi import DurableTasks, Tasks
from errand.redis.connection import WORKER
from errand.testing.redis import FakeConnector
from tests.app.blog.jobs import welcome as blog_welcome
from tests.app.shop.jobs import reminder, welcome
from tests.support.project import ROOT


def build_host(*errands: Errand) -> FastAPI:
    """Return an application whose own lifespan starts several Errands."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for errand in errands:
                await stack.enter_async_context(errand.lifespan(app))
            yield

    return FastAPI(lifespan=lifespan)


def test_an_endpoint_stores_its_tasks_before_the_response_leaves(client: TestClient, redis: Redis) -> None:
    first, second = client.post("/signup?email=ada").json()
    assert redis.lrange("rq:queue:shop", 0, -1) == [first.encode()]
    assert redis.zrange("rq:scheduled:shop", 0, -1) == [second.encode()]


def test_a_task_with_a_delay_stands_beside_the_others(client: TestClient, redis: Redis) -> None:
    _, delayed = client.post("/signup?email=ada").json()
    assert not redis.exists(f"rq:job::{delayed}:dependencies")


def test_the_next_task_follows_the_last_one_without_a_delay() -> None:
    tasks = DurableTasks()
    first = tasks.add_task(welcome.run, "ada")
    tasks.add_task(reminder.run, "ada", delay_seconds=60)
    tasks.add_task(welcome.run, "bob")
    assert [job.after for job in tasks.jobs] == [(), (), (first,)]


def test_a_task_with_an_after_of_its_own_waits_for_that_alone() -> None:
    tasks = DurableTasks()
    tasks.add_task(welcome.run, "ada")
    tasks.add_task(reminder.run, "ada", after=())
    other = "bcdefa92-2fcf-4655-b44f-7846d446f290"
    tasks.add_task(reminder.run, "ada", after=other)
    assert [job.after for job in tasks.jobs] == [(), (), (other,)]


def test_a_name_that_the_payload_has_is_the_payloads() -> None:
    tasks = DurableTasks()
    tasks.add_task(welcome.run, "ada", tags=["new"])
    assert tasks.jobs[0].payload == {"email": "ada", "tags": ["new"]}
    assert tasks.jobs[0].asked.tags == ()


def test_using_says_for_a_type_checker_what_the_keywords_say() -> None:
    tasks = DurableTasks()
    tasks.add_task(welcome.run.using(tags=["vip"], delay_seconds=60), "ada", tags=["new"])
    assert tasks.jobs[0].asked.tags == ["vip"]
    assert tasks.jobs[0].payload["tags"] == ["new"]


def test_a_task_takes_no_unique_key_for_its_id_is_given_before_it_is_stored() -> None:
    with pytest.raises(ValueError, match=r"run\.store"):
        DurableTasks().add_task(reminder.run, "ada", unique_key="ada")


def test_without_the_lifespan_the_error_says_what_to_write(errand: Errand) -> None:
    host = FastAPI()

    @host.post("/signup")
    async def signup(tasks: Tasks) -> None:
        tasks.add_task(welcome.run, "ada")

    with pytest.raises(NotStartedError, match=r"FastAPI\(lifespan=errand.lifespan\)"):
        TestClient(host).post("/signup")


def test_a_mounted_api_serves_what_endpoints_stored(
    errand: Errand, host: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRAND_LOCAL", "1")
    host.mount("/errand", errand.app)
    with TestClient(host, base_url="http://localhost") as client:
        first, _ = client.post("/signup?email=ada").json()
        assert client.get(f"/errand/v1/jobs/{first}").json()["type"] == "welcome"
        assert client.post("/errand/v1/jobs/log", json={"text": "x"}).status_code == 202


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_of_a_mounted_api_leads_a_browser_to_its_console_and_the_hosts_own_stays(
    errand: Errand, host: FastAPI, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("ERRAND_LOCAL", "1")
    host.mount("/errand", errand.app)
    host.add_api_route("/", lambda: "shop", methods=["GET", "HEAD"])
    browser = {"Accept": "text/html,*/*;q=0.8"}
    with TestClient(host, base_url="http://localhost", follow_redirects=False) as client:
        answer = client.request(method, "/errand/", headers=browser)
        assert (answer.status_code, answer.headers["Location"]) == (307, "/errand/console")
        assert client.request(method, "/errand/").status_code == 404
        assert client.post("/errand/", headers=browser).status_code == 404
        assert client.request(method, "/", headers=browser).status_code == 200


def test_without_a_console_the_root_of_a_mounted_api_leads_nowhere(
    errand: Errand, host: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS", f"ada:{'0' * 64}")
    host.mount("/errand", errand.app)
    with TestClient(host, base_url="http://localhost") as client:
        assert client.get("/errand/", headers={"Accept": "text/html"}).status_code == 404


def test_a_mounted_api_that_was_not_started_says_so(errand: Errand) -> None:
    host = FastAPI()
    host.mount("/errand", errand.app)
    answer = TestClient(host).get("/errand/livez")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:not-started")
    assert "lifespan=errand.lifespan" in answer.json()["detail"]


def test_the_api_without_keys_is_not_mounted_open(errand: Errand, host: FastAPI) -> None:
    host.mount("/errand", errand.app)
    with pytest.raises(Exception, match="API_KEYS is not set"), TestClient(host):
        pass


def test_an_endpoint_needs_no_setting_of_a_job(client: TestClient) -> None:
    assert "SMTP_URL" not in os.environ
    assert client.post("/store?email=ada").status_code == 200


def test_two_errands_in_one_process_keep_their_jobs_apart(errand: Errand, redis: Redis) -> None:
    server = FakeConnector()
    blog = Errand("tests.app.blog.jobs", connector=server)
    host = build_host(errand, blog)

    @host.post("/signup")
    async def signup(tasks: Tasks) -> str:
        await blog_welcome.run.store("ada")
        return tasks.add_task(welcome.run, "ada")

    with TestClient(host) as client:
        id = client.post("/signup").json()
    assert redis.lrange("rq:queue:shop", 0, -1) == [id.encode()]
    assert server.connect(WORKER).llen("rq:queue:default") == 1


def test_the_tasks_of_an_endpoint_are_of_one_errand(errand: Errand) -> None:
    blog = Errand("tests.app.blog.jobs", connector=FakeConnector())
    host = build_host(errand, blog)

    @host.post("/signup")
    async def signup(tasks: Tasks) -> None:
        tasks.add_task(welcome.run, "ada")
        tasks.add_task(blog_welcome.run, "ada")

    with TestClient(host) as client, pytest.raises(HomelessJobError, match="of two Errands"):
        client.post("/signup")


def test_a_url_that_can_not_be_read_is_refused_where_it_is_given_without_its_text() -> None:
    fault = r"^Errand\('shop.jobs'\): redis_url: its scheme is none of redis://"
    with pytest.raises(ValueError, match=fault) as caught:
        Errand("shop.jobs", redis_url="redis//:secret@host")
    assert "secret" not in str(caught.value)


def test_an_errand_loads_neither_fastapi_nor_rq() -> None:
    program = (
        "import sys\nfrom errand import Errand\nErrand('jobs')\n"
        "print(sorted({'fastapi', 'starlette', 'rq', 'flask'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def run_here(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_application_that_mounts_no_api_needs_nothing_of_the_extra_api() -> None:
    program = (
        "import sys\nimport errand.app.lifespan, errand.fastapi\n"
        "print(sorted({'fastapi_offline', 'prometheus_client', 'uvicorn', 'errand.api.app'} & set(sys.modules)))"
    )
    assert run_here(program).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("missing", "program", "extra"),
    [
        ("fastapi_offline", "from errand import Errand; Errand('jobs').app", "rq-errand[api]"),
        (
            "honcho",
            "from errand.cli.main import main; sys.argv = ['errand', 'up']; main()",
            "rq-errand[api,dashboard,local]",
        ),
    ],
)
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(missing: str, program: str, extra: str) -> None:
    done = run_here(f"import sys; sys.modules[{missing!r}] = None\n{program}")
    assert done.returncode == 1
    assert f"pip install '{extra}'" in done.stderr
