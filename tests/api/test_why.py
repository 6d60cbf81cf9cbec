"""/v1/jobs/{id}/why: one verdict, and the facts behind it."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter
from redis import Redis
from rq.utils import utcformat
from starlette.testclient import TestClient

from errand.api.routes.why import WhyView
from errand.local.valkey import EmbeddedValkey
from errand.redis.clock import Clock
from errand.redis.connection import connect
from errand.store.observe.why import WhyReader
from tests.api.stored import Stored
from tests.support.job_types import TYPES
from tests.support.services import Services
from tests.support.waiting import wait_until

UNKNOWN = "5f0c7d1e-0000-4000-8000-000000000000"


def post(client: TestClient, query: str = "", type: str = "log") -> str:
    answer = client.post(f"/v1/jobs/{type}{query}", json=TYPES[type].example)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ask(client: TestClient, id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/jobs/{id}/why")
    assert answer.status_code == 200, answer.text
    TypeAdapter(WhyView).validate_python(answer.json(), extra="forbid")
    return dict(answer.json())


def add_worker(redis: Redis, name: str = "w", queues: str = "log", state: str = "idle", **codes: Any) -> None:
    """Add a worker as RQ lists it; with `codes` it is one of ours."""
    redis.sadd("rq:workers", f"rq:worker:{name}")
    beat = utcformat(datetime.now(UTC))
    redis.hset(f"rq:worker:{name}", mapping={"state": state, "queues": queues, "last_heartbeat": beat})
    if codes:
        types: dict[Any, Any] = codes
        redis.hset(f"errand:types:{name}", mapping=types)


def park(redis: Redis, id: str, key: str, names: str = "errand:parked", score: float = 1) -> None:
    """Park a job as a worker does."""
    redis.lrem("rq:queue:log", 0, id)
    redis.zadd(key, {id: score})
    redis.sadd(names, key)
    if names == "errand:parked":
        waits = {"key": key, "reason": "…", "since": "2026-11-23T14:17:21.698000Z"}
        redis.hset(f"rq:job:{id}", "errand_parked", json.dumps(waits))


def test_an_unknown_job_is_a_404(client: TestClient) -> None:
    for id in (UNKNOWN, "nothing"):
        answer = client.get(f"/v1/jobs/{id}/why")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")


def test_no_worker_serves_the_queue(client: TestClient, redis: Redis) -> None:
    id = post(client)
    why = ask(client, id)
    assert (why["verdict"], why["reason"]) == (
        "no_worker",
        "no worker serves the queue log; none is running at all",
    )
    add_worker(redis, queues="email,default")
    assert ask(client, id)["reason"].endswith("; 1 serves others")
    add_worker(redis)
    assert ask(client, id)["verdict"] == "starting"


def test_a_worker_of_ours_that_is_silent_is_none_and_a_plain_one_may_be_silent(
    client: TestClient, redis: Redis
) -> None:
    id = post(client)
    add_worker(redis, log="0" * 12)
    assert ask(client, id)["workers"] == {"live": 1, "serving": 1, "able": 1, "free": 1}
    redis.hset("rq:worker:w", "last_heartbeat", utcformat(datetime.fromtimestamp(time.time() - 30, UTC)))
    assert ask(client, id)["verdict"] == "no_worker"
    redis.delete("errand:types:w")
    assert ask(client, id)["verdict"] == "starting"


def test_a_paused_queue_and_what_would_hold_it_up_then(client: TestClient, redis: Redis) -> None:
    id = post(client)
    client.post("/v1/queues/log/pause")
    why = ask(client, id)
    assert (why["verdict"], why["then"]) == ("queue_paused", ["no_worker"])
    redis.set("rq:suspended", 1)
    add_worker(redis)
    why = ask(client, id)
    assert (why["verdict"], why["then"]) == ("rq_suspended", ["queue_paused"])


def test_no_worker_knows_the_type(client: TestClient, redis: Redis) -> None:
    id = post(client)
    add_worker(redis, email="0" * 12)
    assert ask(client, id)["reason"] == "no worker of the queue log knows the type log"
    park(redis, id, "errand:parked:log:log:")
    why = ask(client, id)
    assert (why["verdict"], why["since"]) == ("type_unknown", "2026-11-23T14:17:21.698000Z")
    add_worker(redis, "plain")  # it takes whatever there is
    assert ask(client, id)["verdict"] == "starting"


def test_the_workers_refuse_its_payload(client: TestClient, redis: Redis) -> None:
    id = post(client)
    add_worker(redis, log="0" * 12)
    park(redis, id, f"errand:parked:log:log:{'0' * 12}")
    error = {"type": "InvalidPayloadError", "message": "text: too long"}
    redis.hset(f"rq:job:{id}", mapping={"errand_refused": "0" * 12, "errand_error": json.dumps(error)})
    why = ask(client, id)
    assert (why["verdict"], why["error"]) == ("payload_refused", error)
    add_worker(redis, "new", log="1" * 12)
    assert ask(client, id)["verdict"] == "starting"


@pytest.mark.parametrize("parked", [False, True])
def test_its_type_is_held(client: TestClient, redis: Redis, parked: bool) -> None:
    id = post(client)
    add_worker(redis, log="0" * 12)
    if parked:
        park(redis, id, "errand:parked:log:log:~any")
    at = round(time.time() * 1000) + 5000
    hold: dict[Any, Any] = {
        "since": "2026-11-23T14:17:21.698000Z",
        "reason": "the disk is full",
        "wait_seconds": 8,
        "probe_at_ms": at,
    }
    redis.hset("errand:held:log:any", mapping=hold)
    redis.sadd("errand:held", "log:any")
    why = ask(client, id)
    assert (why["verdict"], why["since"]) == ("type_held", hold["since"])
    assert why["reason"] == "the type log is held since 2026-11-23T14:17:21.698000Z: the disk is full"
    assert datetime.fromisoformat(why["until"]).timestamp() == pytest.approx(at / 1000, abs=0.01)


def test_its_types_rate_lets_it_start_later(client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from errand.contract.rate import Rate

    monkeypatch.setattr(TYPES["log"], "rate", Rate(2, 60))
    ids = [post(client) for _ in range(3)]
    add_worker(redis, log="0" * 12)
    for number, id in enumerate(ids):
        park(redis, id, "errand:rated:log:log", "errand:rated", number)
    due = time.time() + 20
    redis.hset("errand:rates", "log", round(due * 1_000_000))
    why = ask(client, ids[2])
    assert (why["verdict"], why["before"]) == ("rate", 2)
    assert datetime.fromisoformat(why["until"]).timestamp() == pytest.approx(due + 2 * 30, abs=0.01)


def test_others_hold_its_concurrency_key(client: TestClient) -> None:
    holders = [post(client, "?concurrency_key=k&concurrency=2") for _ in range(2)]
    others = [post(client, "?concurrency_key=k&concurrency=2") for _ in range(2)]
    why = ask(client, others[1])
    assert (why["verdict"], why["before"], why["then"]) == ("waits_for_key", 1, ["no_worker"])
    assert why["jobs"] == [{"id": id, "status": "queued"} for id in sorted(holders)]
    assert why["reason"].startswith("its concurrency key 'k' lets 2 jobs be queued or run at once, now ")


def test_it_waits_for_other_jobs(client: TestClient, redis: Redis) -> None:
    parents = [post(client) for _ in range(2)]
    id = post(client, f"?after={parents[0]}&after={parents[1]}")
    redis.hset(f"rq:job:{parents[0]}", "status", "finished")
    why = ask(client, id)
    assert (why["verdict"], why["jobs"]) == ("waits_for_jobs", [{"id": parents[1], "status": "queued"}])
    assert why["reason"] == f"it waits for {parents[1]} (queued)"


def test_it_is_to_run_later_or_is_tried_again(client: TestClient, redis: Redis) -> None:
    id = post(client, "?delay_seconds=60")
    why = ask(client, id)
    assert why["verdict"] == "waits_for_time"
    assert datetime.fromisoformat(why["until"]).timestamp() == pytest.approx(time.time() + 60, abs=5)
    error = {"type": "ValueError", "message": "no use"}
    redis.hset(f"rq:job:{id}", mapping={"errand_attempts": 2, "errand_error": json.dumps(error)})
    why = ask(client, id)
    assert (why["verdict"], why["error"]) == ("waits_for_retry", error)
    assert why["reason"].endswith("; attempt 2 failed with ValueError: no use")
    redis.zadd("rq:scheduled:log", {id: 1})  # it is due, and workers put it into the queue
    assert ask(client, id)["verdict"] == "no_worker"


def test_workers_are_busy_and_so_many_are_before_it(client: TestClient, redis: Redis) -> None:
    ids = [post(client) for _ in range(30)]
    add_worker(redis, state="busy", log="0" * 12)
    why = ask(client, ids[29])
    assert (why["verdict"], why["before"], why["exact"], why.get("expected")) == ("workers_busy", 29, True, None)
    minute = int(time.time()) // 60
    for ago in range(3, 11):  # 60 and 6 a minute, in turn; other types and other ends don't count
        redis.hset(
            f"errand:tally:{minute - ago}", mapping={"log|1|2|finished": 59 if ago % 2 else 5, "log|1|2|dead": 1}
        )
        redis.hset(f"errand:tally:{minute - ago}", mapping={"email|1|2|finished": 999, "log|1|2|lost": 9, "log|w": 9})
    for ago, count in ((1, 60), (2, 6)):  # some minutes were folded
        text = f'{{"email":[[999],[],[]],"log":[[{count - 2},1,1,0,9,9],[9],[9]]}}'
        redis.set(f"errand:stats:60:{(minute - ago) * 60}", text)
    expected = ask(client, ids[29])["expected"]
    assert expected["p90_seconds"] == 300.0
    assert 30 <= expected["p50_seconds"] < 300
    assert datetime.fromisoformat(expected["p90_at"]).timestamp() == pytest.approx(time.time() + 300, abs=5)


@pytest.mark.parametrize("end", ["started", "finished", "failed", "canceled"])
def test_one_that_has_started_or_ended_says_so(client: TestClient, redis: Redis, end: str) -> None:
    job = Stored(redis).put_in(end)
    why = ask(client, job.id)
    assert (why["status"], why["verdict"]) == (end, "started" if end == "started" else "ended")
    if end == "started":
        assert why["reason"].startswith(f"it runs on worker-{job.id} since 2")


def test_a_damaged_record_is_shown_as_far_as_it_goes(client: TestClient, redis: Redis) -> None:
    id = post(client)
    damaged: dict[Any, Any] = {"enqueued_at": "?", "errand_parked": "[", "errand_error": "1", "dependency_ids": "{"}
    redis.hset(f"rq:job:{id}", mapping=damaged)
    for key in ("errand:held", "errand:parked", "rq:workers"):
        redis.set(key, "?")
    assert ask(client, id)["verdict"] == "no_worker"
    redis.hset(f"rq:job:{id}", "status", "deferred")
    assert ask(client, id)["reason"] == "it waits for none that is known"


@pytest.fixture
def long_queue(redis: Redis) -> list[str]:
    """A list of 20,000 jobs, of which 1,000 were put at the front, a thousand have one time, and one is gone."""
    front = [f"f{number}" for number in range(1000)]
    ids = [f"j{number}" for number in range(19_000)]
    pipe = redis.pipeline(transaction=False)
    for number, id in enumerate([*reversed(front), *ids]):
        at = 5_000_000 if id[0] == "f" else min(number, 8000) + max(0, number - 9000)
        text = utcformat(datetime.fromtimestamp(1_790_000_000 + at / 1000, UTC))
        more: dict[Any, Any] = {"enqueue_at_front": "1"} if id[0] == "f" else {}
        pipe.hset(f"rq:job:{id}", mapping={"status": "queued", "origin": "log", "enqueued_at": text, **more})
    pipe.rpush("rq:queue:log", *front, *ids)
    pipe.delete("rq:job:j10000")
    pipe.execute()
    return [*front, *ids]


@pytest.mark.valkey
def test_the_place_in_a_long_list_is_found(valkey: EmbeddedValkey, redis: Redis, long_queue: list[str]) -> None:
    add_worker(redis, state="busy")

    async def find(place: int) -> tuple[int | None, bool | None]:
        async with connect(valkey.url) as client:
            why = await WhyReader(client, TYPES, Clock()).read(long_queue[place])
        assert why is not None
        return why.verdict.before, why.verdict.exact

    places = [0, 499, 700, 1000, 8999, 9500, 10_000, 10_999, 11_001, 15_000, 19_999]
    assert [asyncio.run(find(place)) for place in places] == [(place, True) for place in places]


def test_a_real_worker_is_busy_and_then_free(services: Services) -> None:
    services.start_api()
    services.start_worker(WORKER_THREADS="1")
    first = services.post("sleep", {"seconds": 2})
    services.wait_for(first, "started")
    ids = [services.post("echo", {}) for _ in range(3)]
    why = services.call("GET", f"/v1/jobs/{ids[2]}/why").body
    assert (why["verdict"], why["before"], why["exact"]) == ("workers_busy", 2, True)
    assert services.call("GET", f"/v1/jobs/{first}/why").body["verdict"] == "started"
    for id in ids:
        services.wait_for(id)
    wait_until(lambda: services.call("GET", f"/v1/jobs/{ids[2]}/why").body["verdict"] == "ended")
