"""Dependents that are left to the chores, with several workers and with one that is killed."""

import time
from pathlib import Path
from threading import Thread

import pytest
from redis import Redis
from rq import Queue

from errand.redis import keys
from errand.worker.maintenance.dependents import Settling
from errand.worker.records import Records
from tests.support.processes import kill_all
from tests.support.services import Services
from tests.support.waiting import wait_until
from tests.worker.scripts import enqueue, send_report, take
from tests.worker.test_webhooks import build_with_webhooks, hook, list_sent

MANY = 1200


@pytest.fixture
def hooked(redis: Redis) -> Records:
    return build_with_webhooks(redis)


def test_two_workers_at_once_settle_each_of_them_once(redis: Redis, queue: Queue, hooked: Records) -> None:
    (parent,) = enqueue(queue)
    children = enqueue(queue, 500, depends_on=parent)
    hook(redis, *children)
    (execution,) = take(hooked)
    send_report(hooked, "permanent", execution)
    assert redis.zcard(keys.SETTLING) == 1
    others = [Settling(build_with_webhooks(Redis(connection_pool=redis.connection_pool))) for _ in range(2)]

    def work(settling: Settling) -> None:
        while redis.exists(keys.SETTLING):
            settling.run()

    threads = [Thread(target=work, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert redis.zcard("rq:canceled:default") == 500
    assert sorted(event["data"]["id"] for event in list_sent(redis)) == sorted(children)


def test_another_worker_goes_on_where_one_was_killed(services: Services, redis: Redis, tmp_path: Path) -> None:
    services.start_api()
    parent = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    path = f"/v1/batches/echo?after={parent}"
    batches = [services.call("POST", path, {"items": [{"value": 1}] * 600}).body["id"] for _ in range(2)]
    worker = services.start_worker()
    wait_until(lambda: redis.exists(keys.SETTLING) or redis.zcard("rq:canceled:default") == MANY)
    kill_all(worker.pid)
    settled = redis.zcard("rq:canceled:default")
    time.sleep(0.5)  # nobody goes on
    assert redis.zcard("rq:canceled:default") == settled
    services.start_worker()
    wait_until(lambda: not redis.exists(keys.SETTLING), 60)
    assert redis.zcard("rq:canceled:default") == MANY
    for batch in batches:
        assert services.call("GET", f"/v1/batches/{batch}").body["canceled"] == 600
    assert redis.keys(f"{keys.SETTLING}*") == []
