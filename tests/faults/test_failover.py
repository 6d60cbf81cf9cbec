"""A managed Redis that fails over: the connections that there are stay at the demoted server, new ones go elsewhere."""

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from errand.local.valkey import find_free_port
from tests.conftest import build_environment
from tests.support.ledgers import Ledger
from tests.support.processes import list_processes
from tests.support.proxies import Proxy
from tests.support.servers import Server
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

FAILOVER_SECONDS = 5
FailOver = Callable[[], None]


@pytest.fixture
def second(server: Server, data_folder: str | None) -> Iterator[Server]:
    """A replica of the server."""
    folder = Path(tempfile.mkdtemp(prefix="errand-", dir=data_folder))
    second = Server(folder / "v")
    second.start()
    second.follow(server)
    wait_until(second.is_linked)
    yield second
    second.stop()
    shutil.rmtree(folder)


@pytest.fixture
def services(project: Path, proxy: Proxy, sink: ScriptedSink, tmp_path: Path) -> Iterator[Services]:
    """Real processes that reach the server through the proxy."""
    services = Services(project, build_environment(proxy.url, sink, tmp_path), tmp_path)
    yield services
    services.stop()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def fail_over(server: Server, second: Server, proxy: Proxy) -> FailOver:
    """Does as managed servers do: new connections lead to the promoted one, old ones stay at one that is a replica."""

    def act() -> None:
        second.promote(server)
        with server.connect() as redis:
            redis.replicaof("127.0.0.1", find_free_port())  # what it has grows old
            proxy.send_to(second.user_url)
            redis.client_unpause()

    return act


def post(services: Services, ledger: Ledger, type: str = "ledger", query: str = "", **payload: Any) -> str:
    return services.post(type, {"ledger": str(ledger.path), **payload}, query)


def count_visitors(server: Server) -> int:
    """Return how many connections a server has, but for this one and a replica's."""
    with server.connect() as redis:
        mine = str(redis.client_id())
        return sum(client["id"] != mine and "S" not in client["flags"] for client in redis.client_list())


def test_work_goes_on_within_5_seconds_and_each_job_ends_once(
    services: Services, ledger: Ledger, fail_over: FailOver
) -> None:
    services.start_api()
    worker = services.start_worker(WORKER_THREADS="4")
    across = [post(services, ledger, type, seconds=3) for type in ("ledger", "alone")]
    longer = post(services, ledger, seconds=9)
    due = post(services, ledger, query="?delay_seconds=3")
    for job in (*across, longer):
        ledger.wait_for_start(job)
    fail_over()
    promoted_at = time.monotonic()
    new = post(services, ledger)
    for job in (new, *across, due):
        rest_seconds = FAILOVER_SECONDS - (time.monotonic() - promoted_at)
        assert services.wait_for(job, timeout_seconds=rest_seconds)["status"] == "finished"
    assert services.wait_for(longer)["status"] == "finished"
    for job in (*across, longer, new, due):
        assert ledger.count(job) == (1, 1)
    said = services.read_log(worker)
    assert worker.poll() is None
    assert said.count("Redis is away") <= 2, said  # the supervisor's and the runner's
    assert "Traceback" not in said


def test_every_connection_leaves_the_demoted_server_though_none_writes(
    services: Services, ledger: Ledger, fail_over: FailOver, server: Server, second: Server
) -> None:
    services.start_api()
    services.start_worker(WORKER_THREADS="1")
    services.start_worker(WORKER_THREADS="1")
    busy = [post(services, ledger, seconds=12) for _ in range(2)]
    for job in busy:
        ledger.wait_for_start(job)
    listener = threading.Thread(target=services.call, args=("GET", f"/v1/jobs/{busy[0]}", None, {"Prefer": "wait=20"}))
    listener.start()
    with server.connect() as redis:
        wait_until(lambda: b"errand:events" in redis.pubsub_channels())
    fail_over()
    wait_until(lambda: count_visitors(server) == 0, FAILOVER_SECONDS)
    with second.connect() as redis:
        channels = redis.pubsub_channels
        wait_until(lambda: {b"errand:events", b"errand:work"} <= set(channels()), FAILOVER_SECONDS)
        wait_until(lambda: len(channels("rq:pubsub:*")) == 2, FAILOVER_SECONDS)
    listener.join()


@pytest.mark.quick
def test_what_is_read_is_the_promoted_servers_within_5_seconds(
    services: Services, ledger: Ledger, fail_over: FailOver, second: Server
) -> None:
    services.start_api()
    job = post(services, ledger)
    assert services.read(job)["status"] == "queued"
    fail_over()
    with second.connect() as redis:
        redis.hset(f"rq:job:{job}", "status", "canceled")
    wait_until(lambda: services.read(job)["status"] == "canceled", FAILOVER_SECONDS)


@pytest.mark.slow
def test_a_failover_that_cuts_all_connections_costs_no_job(
    services: Services, ledger: Ledger, fail_over: FailOver, proxy: Proxy
) -> None:
    services.start_api()
    services.start_worker(WORKER_THREADS="4")
    across = [post(services, ledger, type, seconds=3) for type in ("ledger", "alone")]
    for job in across:
        ledger.wait_for_start(job)
    fail_over()
    proxy.refuse()
    time.sleep(1)
    proxy.accept()
    new = post(services, ledger)
    for job in (new, *across):
        assert services.wait_for(job)["status"] == "finished"
        assert ledger.count(job) == (1, 1)


def test_a_replica_is_not_ready_and_says_so(
    services: Services, ledger: Ledger, server: Server, second: Server, proxy: Proxy
) -> None:
    proxy.send_to(second.user_url)
    services.start_api()
    answer = services.call("GET", "/readyz")
    assert (answer.status, answer.body["type"]) == (503, "urn:problem-type:errand:redis-replica")
    refused = services.call("POST", "/v1/jobs/log", {"text": "x"})
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert refused.body["type"] == "urn:problem-type:errand:redis-replica"
    worker = services.start_worker()
    check = services.run(sys.executable, "-m", "service", "check")
    assert check.wait(20) != 0
    assert "FAIL  Redis: REDIS_URL: the server is a replica of 127.0.0.1:" in services.read_log(check)
    wait_until(lambda: "the server is a replica" in services.read_log(worker))
    assert worker.pid in list_processes()
    second.promote(server)
    job = post(services, ledger)
    assert services.wait_for(job)["status"] == "finished"
    assert services.read_log(worker).count("is a replica") == 1
