"""What a real server's error words become, each where it can be had."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError
from redis.exceptions import ConnectionError, ReadOnlyError, ResponseError, TryAgainError
from starlette.testclient import TestClient

from errand.api.settings import ApiSettings
from errand.redis.connection import WORKER, HonestRetry, UrlConnector, wait_for_redis
from errand.redis.refusals import REFUSALS, find_refusal
from errand.redis.settings import SettingsError
from errand.store.settings import QueueSettings
from tests.redis.test_server import Serve, serve
from tests.support.connectors import create_app
from tests.support.job_types import WITH_TUTORIAL
from tests.support.services import Services
from tests.support.waiting import wait_until

__all__ = ["serve"]
AOF = ("appendonly yes", "appendfsync always")


@contextmanager
def open_api(url: str) -> Iterator[TestClient]:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), QueueSettings(REDIS_URL=url), WITH_TUTORIAL)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def assert_refused(client: TestClient, name: str, says: str, reads: int = 200) -> None:
    """The API reports the refusal to those who store, who ask whether it is ready, and who read."""
    for answer in (client.post("/v1/jobs/log", json={"text": "x"}), client.get("/readyz")):
        assert (answer.status_code, answer.json()["type"]) == (503, f"urn:problem-type:errand:{name}"), answer.text
        assert answer.headers["retry-after"] == "2"
        assert says in answer.json()["detail"]
    assert client.get("/v1/queues").status_code == reads


def assert_served(client: TestClient) -> None:
    wait_until(lambda: client.get("/readyz").status_code == 200, 5)
    assert client.post("/v1/jobs/log", json={"text": "x"}).status_code == 202


@contextmanager
def failed_save(redis: Redis, folder: Path) -> Iterator[None]:
    """A server that could not save: the folder is gone that it saves to."""
    gone = folder / "gone"
    gone.mkdir()
    redis.config_set("dir", str(gone))
    redis.config_set("save", "3600 1")
    gone.rmdir()
    redis.bgsave()
    wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    redis.config_set("dir", str(folder))
    redis.config_set("save", "")


@contextmanager
def endless_script(redis: Redis) -> Iterator[None]:
    """A server that runs a script of somebody's and does not end."""
    redis.config_set("lua-time-limit", 50)

    def run() -> None:
        with suppress(RedisError):
            redis.eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: find_word(redis) == "BUSY")
    yield
    redis.script_kill()
    thread.join()


def find_word(redis: Redis) -> str:
    try:
        redis.ping()
    except ResponseError as error:
        return str(error).split(" ")[0]
    return ""


@pytest.mark.valkey
def test_a_failed_save_is_reported_and_over_when_it_saves_again(serve: Serve, tmp_path: Path) -> None:
    url = serve(*AOF, "enable-protected-configs yes")
    redis = Redis.from_url(url)
    with open_api(url) as client:
        with failed_save(redis, tmp_path):
            assert_refused(client, "redis-not-saving", "Make room there")
        assert_served(client)
    assert redis.llen("rq:queue:log") == 1


@pytest.mark.valkey
def test_too_few_replicas_are_reported(serve: Serve) -> None:
    url = serve(*AOF, "min-replicas-to-write 1")
    with open_api(url) as client:
        assert_refused(client, "redis-no-replicas", "min-replicas-to-write")
        Redis.from_url(url).config_set("min-replicas-to-write", 0)
        assert_served(client)


@pytest.mark.valkey
def test_a_server_that_runs_an_endless_script_is_reported(serve: Serve) -> None:
    url = serve(*AOF)
    with open_api(url) as client:
        with endless_script(Redis.from_url(url)):
            assert_refused(client, "redis-busy", "SCRIPT KILL", reads=503)
        assert_served(client)


@pytest.mark.valkey
@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_is_reported(serve: Serve, stale: str) -> None:
    url = serve(*AOF, f"replica-serve-stale-data {stale}")
    Redis.from_url(url).replicaof("127.0.0.1", 1)
    with open_api(url) as client:
        assert_refused(client, "redis-replica", "as after a failover", reads=200 if stale == "yes" else 503)


@pytest.mark.valkey
def test_a_cluster_is_reported(serve: Serve) -> None:
    with open_api(serve("cluster-enabled yes")) as client:
        answer = client.post("/v1/jobs/log", json={"text": "x"})
        assert answer.json()["type"] == "urn:problem-type:errand:redis-cluster"
        assert "Errand needs one server" in answer.json()["detail"]


@pytest.mark.valkey
@pytest.mark.parametrize("part", ["", "errand"])
def test_a_wrong_password_is_reported(serve: Serve, part: str) -> None:
    url = serve(*AOF)
    Redis.from_url(url).config_set("requirepass", "right")
    with open_api(url.replace("unix://", f"unix://:{part}@") if part else url) as client:
        assert_refused(client, "redis-password", "set the right one", reads=503)


ENOUGH = "resetkeys resetchannels ~rq:* ~errand:* &rq:* &errand:* +@all -@admin +role"
MISSING = [
    ("~rq:* ~errand:* &* +@all -publish", "'publish' command"),
    ("~rq:* ~errand:* &* +@all -evalsha", "'evalsha' command"),
    ("~rq:* &* +@all", "access a key"),
    ("~rq:* ~errand:* resetchannels +@all", "access a channel"),
]


@pytest.mark.valkey
@pytest.mark.parametrize(("rules", "named"), MISSING)
def test_a_missing_permission_is_named_and_so_is_what_is_needed(serve: Serve, rules: str, named: str) -> None:
    with open_api(serve(*AOF, f"user guest on >secret {rules}", user="guest:secret@")) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem-type:errand:redis-permission")
        assert named in answer.json()["detail"]
        assert "script:" not in answer.json()["detail"]
        assert "channels rq:* and errand:*" in answer.json()["detail"]


@pytest.mark.parametrize(("rules", "named"), MISSING)
def test_a_worker_that_lacks_a_permission_does_not_start(serve: Serve, rules: str, named: str) -> None:
    with pytest.raises(SettingsError, match=f"^REDIS_URL: .* lacks a permission .*{named}"):
        wait_for_redis(serve(*AOF, f"user guest on >secret {rules}", user="guest:secret@"))


@pytest.mark.valkey
def test_the_permissions_that_are_reported_are_enough(serve: Serve) -> None:
    with open_api(serve(*AOF, f"user guest on >secret {ENOUGH}", user="guest:secret@")) as client:
        assert_served(client)
        assert client.get("/v1/queues").status_code == 200


def test_and_for_a_worker(serve: Serve, services: Services) -> None:
    url = serve(*AOF, f"user guest on >secret {ENOUGH}", user="guest:secret@")
    with open_api(url) as client:
        worker = services.start_worker(REDIS_URL=url, LOG_URL="stdout:")
        job = client.post("/v1/jobs/log", json={"text": "x"}).headers["location"]
        wait_until(lambda: client.get(job).json()["status"] == "finished")
        time.sleep(1)
    said = services.read_log(worker)
    assert "refuse" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("word", REFUSALS)
@pytest.mark.parametrize("form", ["{} said so", "Command # 1 (SET a 1) of pipeline caused error: {} said so"])
def test_each_word_is_found_where_the_server_or_the_pipeline_puts_it(word: str, form: str) -> None:
    assert find_refusal(ResponseError(form.format(word))) is REFUSALS[word]


def test_a_word_that_redis_py_takes_out_of_the_text_is_found() -> None:
    assert find_refusal(TryAgainError("Multiple keys", status_code="TRYAGAIN")) is REFUSALS["TRYAGAIN"]


@pytest.mark.parametrize("said", ["WRONGTYPE Operation against", "ERR unknown command 'READONLY'", "READONLYx y", ""])
def test_other_errors_are_faults_of_ours(said: str) -> None:
    assert find_refusal(ResponseError(said)) is None


def test_each_type_says_what_to_do() -> None:
    for refusal in REFUSALS.values():
        assert re.fullmatch(r"redis-[a-z-]+", refusal.name)
        assert refusal.describe(ResponseError("why")).count(" ") > 5


class Attempts:
    """What a command's attempts end with, one after the other."""

    def __init__(self, *ends: Any) -> None:
        self._ends = list(ends)

    async def do(self) -> Any:
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    async def fail(self, error: Exception, count: int) -> None:
        pass


def run(*ends: Any) -> Any:
    redis = UrlConnector("redis://127.0.0.1:1").connect_async(WORKER)
    retry = redis.connection_pool.connection_kwargs["retry"]
    assert isinstance(retry, HonestRetry)
    retry.update_retries(1)
    attempts = Attempts(*ends)
    return asyncio.run(retry.call_with_retry(attempts.do, attempts.fail, with_failure_count=True))


READONLY = ReadOnlyError("You can't", status_code="READONLY")


def test_a_refused_command_is_sent_again_elsewhere() -> None:
    assert run(READONLY, "done") == "done"


def test_a_refusal_alone_is_a_refusal() -> None:
    with pytest.raises(ReadOnlyError):
        run(READONLY, READONLY)


def test_a_refusal_after_a_lost_reply_is_a_lost_reply() -> None:
    with pytest.raises(ConnectionError):
        run(ConnectionError("cut"), READONLY)


def test_so_it_is_among_the_answers_of_a_pipeline() -> None:
    lost = ConnectionError("cut")
    other = ResponseError("WRONGTYPE")
    assert run(lost, [1, READONLY, other]) == [1, lost, other]
    assert run([1, READONLY]) == [1, READONLY]
