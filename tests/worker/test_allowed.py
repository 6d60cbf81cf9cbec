"""What a job's hash may make the worker run."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, Retry
from rq.webhook import Webhook

from errand import Errand
from errand.contract.from_python import home
from errand.worker.allowed_functions import list_functions
from tests.support.job_types import TALLY
from tests.support.services import Services


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """Somebody with access to Redis, and no more."""
    return Queue("default", connection=redis, serializer="json")


def run(services: Services, *args: Any, **options: Any) -> dict[str, Any]:
    queue = Queue("default", connection=Redis.from_url(services.environment["REDIS_URL"]), serializer="json")
    services.start_api()
    services.start_worker()
    return services.wait_for(queue.enqueue(*args, **options).id)


@pytest.mark.quick("os.system")
@pytest.mark.parametrize("name", ["os.system", "eval", "jobs.echo.asyncio.run", "jobs.log.write_line"])
def test_a_function_that_is_no_jobs_is_refused(services: Services, tmp_path: Path, name: str) -> None:
    job = run(services, name, f"touch {tmp_path}/pwned", retry=Retry(3, interval=60))
    assert (job["status"], job["retries_left"]) == ("failed", 0)
    assert "is no function of a file in jobs/" in job["error"]["message"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("kind", ["on_success", "on_failure", "on_stopped"])
def test_a_callback_is_refused_before_the_work_begins(services: Services, tmp_path: Path, kind: str) -> None:
    ledger = tmp_path / "ledger"
    kwargs = {"ledger": str(ledger), "succeed_at": 1}
    job = run(services, "jobs.fail.run.perform", kwargs=kwargs, **{kind: Callback("os.abort")})
    assert job["status"] == "failed"
    assert "names a callback, 'os.abort'" in job["error"]["message"]
    assert not ledger.exists()


def test_an_instance_is_refused(services: Services, queue: Queue, redis: Redis) -> None:
    job = queue.create_job("jobs.echo.run.perform")
    job._data = json.dumps(["jobs.echo.run.perform", "an instance", [], {}]).encode()
    queue.enqueue_job(job)
    services.start_api()
    services.start_worker()
    assert "is no function of a file in jobs/" in services.wait_for(job.id)["error"]["message"]


def test_a_webhook_is_not_sent(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        webhook = Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", "finished")
        job = run(services, "jobs.echo.run.perform", kwargs={"value": 1}, webhooks=[webhook])
        assert job["status"] == "finished"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_jobs_that_have_moved_into_a_package_run_there_unless_their_old_one_has_an_errand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(home, "_homes", [])
    types = {"tally": TALLY.adopt("shop.jobs.tally")}
    assert "jobs.tally.run.perform" in list_functions(types, "shop.jobs")
    other = Errand("jobs")
    assert "jobs.tally.run.perform" not in list_functions(types, "shop.jobs")
    assert "jobs.tally.run.perform" in list_functions(types, "jobs")  # its own file has moved to a built-in job
    assert other.package == "jobs"
