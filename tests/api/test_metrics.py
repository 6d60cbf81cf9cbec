"""/metrics: what it shows, in which form, and to whom."""

import time
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from redis import Redis
from starlette.testclient import TestClient

from errand.api.http.auth import make_key
from errand.api.settings import ApiSettings
from errand.redis import keys
from errand.store.settings import QueueSettings
from tests.api.stored import Stored
from tests.store.tallied import find_minute, write_end
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
NAMES = {
    "errand_jobs_ended_total",
    "errand_attempts_total",
    "errand_job_wait_seconds_bucket",
    "errand_job_wait_seconds_count",
    "errand_job_wait_seconds_sum",
    "errand_job_run_seconds_bucket",
    "errand_job_run_seconds_count",
    "errand_job_run_seconds_sum",
    "errand_queue_jobs",
    "errand_queue_oldest_seconds",
    "errand_queue_paused",
    "errand_jobs_retrying",
    "errand_jobs_parked",
    "errand_workers",
    "errand_worker_threads_free",
    "errand_schedule_lateness_seconds",
    "errand_type_held",
    "errand_losses_total",
    "errand_interruptions_total",
}


def scrape(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def read(client: TestClient, name: str, **labels: str) -> float:
    return scrape(client)[name, frozenset(labels.items())]


def test_it_shows_the_service_and_nothing_of_this_process(client: TestClient) -> None:
    assert {name for name, _ in scrape(client)} - {"errand_redis_memory_ratio"} == NAMES  # that with a limit alone


def test_every_type_has_its_series_before_anything_ended(client: TestClient) -> None:
    samples = scrape(client)
    for type in TYPES:
        for outcome in ("finished", "failed", "stopped", "canceled"):
            assert samples["errand_jobs_ended_total", frozenset({("type", type), ("outcome", outcome)})] == 0
        assert samples["errand_type_held", frozenset({("type", type)})] == 0


def test_jobs_and_attempts_are_counted_by_outcome(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis) - 1
    ends = ("finished", "failed", "retried", "stopped", "interrupted", "lost", "dead", "canceled")
    for number, end in enumerate(ends):
        write_end(redis, minute, f"log|0|0|{end}", 10**number)
    samples = scrape(client)

    def find(name: str) -> dict[str, float]:
        return {dict(labels)["outcome"]: value for (one, labels), value in samples.items() if one == name and value}

    assert find("errand_jobs_ended_total") == {"finished": 1, "failed": 1000010, "stopped": 1000, "canceled": 10**7}
    attempts = {"finished": 1, "failed": 110, "stopped": 1000, "interrupted": 10_000, "lost": 1_100_000}
    assert find("errand_attempts_total") == attempts
    assert samples["errand_losses_total", frozenset()] == 1_100_000
    assert samples["errand_interruptions_total", frozenset()] == 10_000


def test_what_is_folded_and_what_is_not_yet_count_together(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis)
    write_end(redis, minute - 30, "log|0|0|finished", 5)
    assert read(client, "errand_jobs_ended_total", type="log", outcome="finished") == 5
    assert redis.hget(keys.TOTALS, "log")
    write_end(redis, minute, "log|0|0|finished", 2)
    write_end(redis, minute - 1, "email|0|0|finished", 3)
    assert read(client, "errand_jobs_ended_total", type="log", outcome="finished") == 7
    assert read(client, "errand_jobs_ended_total", type="email", outcome="finished") == 3


def test_waits_and_runs_are_histograms(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis)
    write_end(redis, minute, "log|0|2|finished", 3, waited_us=9000, ran_us=45_000)
    write_end(redis, minute, "log|19|2|finished", 1, waited_us=20_000_000_000)
    samples = scrape(client)

    def find(name: str, **labels: str) -> float:
        return samples[name, frozenset({("type", "log"), *labels.items()})]

    assert find("errand_job_wait_seconds_bucket", le="0.005") == 3
    assert find("errand_job_wait_seconds_bucket", le="10800.0") == 3
    assert find("errand_job_wait_seconds_bucket", le="+Inf") == find("errand_job_wait_seconds_count") == 4
    assert find("errand_job_wait_seconds_sum") == 20_000.009
    assert find("errand_job_run_seconds_bucket", le="0.01") == 0
    assert find("errand_job_run_seconds_bucket", le="0.02") == 4


@pytest.mark.parametrize("registry", ["queued", "scheduled", "started", "finished", "failed", "canceled"])
def test_queues_are_shown_by_status(client: TestClient, redis: Redis, registry: str) -> None:
    Stored(redis, "log").put_in(registry)
    assert read(client, "errand_queue_jobs", queue="log", status=registry) == 1


def test_the_oldest_queued_job_of_a_queue_shows_its_age(client: TestClient, redis: Redis) -> None:
    job = Stored(redis, "log").queued()
    redis.hset(f"rq:job:{job.id}", "enqueued_at", "2026-01-01T00:00:00.000000Z")
    assert read(client, "errand_queue_oldest_seconds", queue="log") > 86400
    assert read(client, "errand_queue_oldest_seconds", queue="email") == 0


def test_retrying_jobs_are_counted_by_queue(client: TestClient, redis: Redis) -> None:
    redis.sadd("errand:retrying", "errand:retrying:email")
    redis.zadd("errand:retrying:email", {"a": 1, "b": 2})
    assert read(client, "errand_jobs_retrying", queue="email") == 2
    assert read(client, "errand_jobs_retrying", queue="log") == 0


def test_parked_jobs_are_shown_with_the_reason(client: TestClient, redis: Redis) -> None:
    def park(kind: str, name: str, *ids: str) -> None:
        redis.sadd(f"errand:{kind}", f"errand:{kind}:{name}")
        redis.zadd(f"errand:{kind}:{name}", dict.fromkeys(ids, 0))

    park("rated", "email:email", "a", "b", "c")
    park("parked", "email:email:~0123", "d", "e")
    redis.sadd("errand:held", "email:0123")
    redis.hset("errand:held:email:0123", mapping={"since": "x", "reason": "down"})
    park("parked", "log:log:", "f")
    park("parked", "log:log:abc", "g")
    park("parked", "log:whatever:", "h")
    park("parked", "log:somebody's:", "i")
    assert read(client, "errand_jobs_parked", type="email", reason="rate") == 3
    assert read(client, "errand_jobs_parked", type="email", reason="service-down") == 2
    assert read(client, "errand_jobs_parked", type="log", reason="no-worker") == 1
    assert read(client, "errand_jobs_parked", type="log", reason="payload") == 1
    assert read(client, "errand_jobs_parked", type="other", reason="no-worker") == 2
    assert read(client, "errand_type_held", type="email") == 1
    redis.delete("errand:held:email:0123")
    assert read(client, "errand_jobs_parked", type="email", reason="turn") == 2
    assert read(client, "errand_type_held", type="email") == 0


def test_workers_are_shown_by_state_and_their_free_threads_together(client: TestClient, redis: Redis) -> None:
    def register(name: str, threads: int = 0, **fields: str | int) -> None:
        redis.sadd("rq:workers", f"rq:worker:{name}")
        if threads:
            redis.hset(f"errand:types:{name}", keys.THREADS, threads)
        redis.hset(f"rq:worker:{name}", mapping={"last_heartbeat": "x"} | fields)

    register("ours", state="busy", threads=16)
    redis.sadd("rq:worker:ours:executions", "a:1", "b:2")
    register("idle", state="idle", threads=4)
    register("plain", state="busy", current_job="c")
    register("odd", state="strange")
    register("dead", state="idle", death="x", threads=16)
    assert read(client, "errand_workers", state="busy") == 2
    assert read(client, "errand_workers", state="idle") == 1
    assert read(client, "errand_workers", state="other") == 1
    assert read(client, "errand_worker_threads_free") == 14 + 4 + 0 + 1


def test_the_latest_schedule_shows_how_late_it_is(client: TestClient, redis: Redis) -> None:
    redis.zadd("errand:schedules", {"later": time.time() + 1000, "paused": "+inf"})
    assert read(client, "errand_schedule_lateness_seconds") == 0
    redis.zadd("errand:schedules", {"late": time.time() - 100, "less": time.time() - 10})
    assert 100 <= read(client, "errand_schedule_lateness_seconds") < 160


@pytest.mark.valkey
def test_memory_is_shown_where_there_is_a_limit(client: TestClient, redis: Redis) -> None:
    if redis.config_get("maxmemory")["maxmemory"] == "0":
        pytest.skip("this server has no limit")
    assert 0 < read(client, "errand_redis_memory_ratio") < 1


def test_a_name_may_hold_anything(client: TestClient, redis: Redis) -> None:
    name = 'a"b\\c\nd é'
    redis.sadd("rq:queues", f"rq:queue:{name}")
    assert read(client, "errand_queue_paused", queue=name) == 0


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=x", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0;escaping=nonsense", "text/plain; version=1.0.0"),
    ],
)
def test_the_format_is_what_the_scraper_asks_for(client: TestClient, accept: str, media_type: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    if "openmetrics" in media_type:
        assert answer.text.endswith("# EOF\n")
        assert list(parse_open(answer.text))


ALL_SECRET, ALL_ENTRY = make_key("ops")
SECRET, ENTRY = make_key("metrics")


@pytest.fixture
def keyed(queue_settings: QueueSettings) -> Iterator[TestClient]:
    """The API with a key for everything and one for the metrics."""
    app = create_app(ApiSettings(API_KEYS=f"{ALL_ENTRY},{ENTRY}"), queue_settings, TYPES)
    with TestClient(app, base_url="https://errand.example.com") as client:
        yield client


def test_without_a_key_it_is_closed_in_production(keyed: TestClient) -> None:
    assert keyed.get("/metrics").status_code == 401


@pytest.mark.parametrize("secret", [SECRET, ALL_SECRET], ids=["metrics", "ops"])
def test_the_metrics_key_opens_it_and_so_does_each_other_key(keyed: TestClient, secret: str) -> None:
    assert keyed.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_the_metrics_key_opens_nothing_else(keyed: TestClient) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    for path, found in keyed.get("/openapi.json").json()["paths"].items():
        for method in found:
            if path in ("/", "/livez", "/readyz", "/metrics"):
                continue
            answer = keyed.request(method, path.replace("{", "").replace("}", ""), headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:problem-type:errand:metrics-key"), path


def test_a_secret_under_two_names_opens_what_either_opens(queue_settings: QueueSettings) -> None:
    entry = f"ops:{ENTRY.partition(':')[2]}"
    app = create_app(ApiSettings(API_KEYS=f"{ENTRY},{entry}"), queue_settings, TYPES)
    with TestClient(app) as client:
        assert client.get("/v1/queues", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
