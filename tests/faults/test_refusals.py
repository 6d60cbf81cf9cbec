"""A Redis that refuses for a while: workers wait, and nothing is lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest
from redis import Redis, RedisError

from tests.support.servers import Server
from tests.support.site import Site
from tests.support.waiting import wait_until

State = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def failed_save(server: Server) -> Iterator[None]:
    """MISCONF: what it saves to is a folder."""
    file = server.folder / "dump.rdb"
    with server.connect() as redis:
        file.mkdir()
        redis.config_set("save", "3600 1")
        redis.bgsave()
        wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield
        file.rmdir()
        redis.config_set("save", "")


@contextmanager
def too_few_replicas(server: Server) -> Iterator[None]:
    """NOREPLICAS."""
    with server.connect() as redis:
        redis.config_set("min-replicas-to-write", 1)
        yield
        redis.config_set("min-replicas-to-write", 0)


@contextmanager
def endless_script(server: Server) -> Iterator[None]:
    """BUSY."""

    def run() -> None:
        with suppress(RedisError), server.connect() as redis:
            redis.eval("while true do end", 0)

    with server.connect() as redis:
        redis.config_set("lua-time-limit", 50)
        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: is_refused(redis))
        yield
        redis.script_kill()
        thread.join()


@contextmanager
def demoted(server: Server) -> Iterator[None]:
    """READONLY and MASTERDOWN, with nowhere else to go."""
    with server.connect() as redis:
        redis.config_set("replica-serve-stale-data", "no")
        redis.replicaof("127.0.0.1", 1)
        yield
        redis.replicaof("NO", "ONE")


def is_refused(redis: Redis) -> bool:
    try:
        return not redis.ping()
    except RedisError:
        return True


def lasts(server: Server) -> None:
    """Return when the state has lasted for two seconds, which is four beats of a supervisor."""
    threading.Event().wait(2)


@pytest.mark.parametrize("state", [failed_save, too_few_replicas, endless_script, demoted])
def test_a_worker_waits_and_goes_on_when_it_ends(own_site: Site, server: Server, state: State) -> None:
    worker = own_site.start_ready_worker(WORKER_THREADS="4")
    across = [own_site.post_noted(type, seconds=1) for type in ("ledger", "alone")]
    fails = own_site.post_noted(seconds=1, then="permanent")
    for job in (*across, fails):
        own_site.ledger.wait_for_start(job)
    with state(server):
        for job in across:
            own_site.ledger.wait_for_end(job)
        lasts(server)
    new = own_site.post_noted()
    for job in (*across, new):
        assert own_site.wait_for(job, timeout_seconds=10)["status"] == "finished"
        assert own_site.ledger.count(job) == (1, 1)
        assert own_site.count_results(job) == 1
    assert own_site.wait_for(fails)["status"] == "failed"
    assert worker.poll() is None
    said = own_site.read_log(worker)
    assert said.count("Redis refuses:") + said.count("Redis is away") <= 3, said
    assert "again" in said or "any more" in said
    own_site.assert_nothing_is_left()


@pytest.mark.parametrize("state", [failed_save, too_few_replicas, endless_script, demoted])
def test_a_worker_started_meanwhile_waits(own_site: Site, server: Server, state: State) -> None:
    job = own_site.post_noted()
    with state(server):
        worker = own_site.start_worker()
        wait_until(lambda: own_site.read_log(worker))
        lasts(server)
        assert worker.poll() is None, own_site.read_log(worker)
    assert own_site.wait_for(job)["status"] == "finished"
    assert "Traceback" not in own_site.read_log(worker)
