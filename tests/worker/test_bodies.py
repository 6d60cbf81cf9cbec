"""What lies outside a job reaches it, under Errand's worker and a plain one, and goes when the job has finished."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from redis import Redis
from rq import Queue
from rq.job import Job as RQJob

from errand import Job, PermanentError, job
from errand.contract.bodies import take_apart
from errand.redis import keys
from errand.redis.clock import Clock
from errand.store.bodies import BodyStore
from errand.worker.maintenance.bodies import Bodies
from tests.support.job_fixtures import Perform
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until
from tests.worker.draining import drain, enqueue

LONG = "é" * 50_000
seen: list[Any] = []


class Film(BaseModel):
    title: str
    frames: list[str] = []


@job()
def run(film: Film) -> str:
    """Note the film."""
    seen.append((film.title, film.frames))
    if film.title == "bad":
        raise PermanentError("no")
    return film.title


FILM: Job[..., Any] = run.adopt("jobs.film")


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def put(redis: Redis, queue: Queue, title: str = "good", **film: Any) -> RQJob:
    """Enqueue a film with what lies outside of it, as the API's scripts leave it."""
    stored, bodies = take_apart({"film": {"title": title, "frames": [LONG, "short", LONG]} | film}, "film")
    queued = enqueue(queue, FILM, **stored)
    BodyStore(redis, Clock()).put(bodies, 0)
    redis.delete(keys.BODY_HOLDS)
    for name in bodies:
        redis.persist(keys.BODY + name)
        redis.zadd(keys.BODY_HOLDS, {f"{name}:{queued.id}": 0})
    redis.hset(queued.key, "errand_bodies", " ".join(bodies))
    return queued


def find(redis: Redis) -> list[bytes]:
    found: list[Any] = redis.keys("errand:bod*")
    return found


def test_a_job_has_what_lies_outside_and_lets_it_go_when_it_has_finished(redis: Redis, queue: Queue) -> None:
    put(redis, queue)
    drain(redis, [FILM])
    assert seen == [("good", [LONG, "short", LONG])]
    assert find(redis) == []


def test_a_payload_that_lies_outside_as_a_whole_is_read_too(redis: Redis, queue: Queue) -> None:
    frames = [f"frame {number}" * 5 for number in range(2000)]
    put(redis, queue, frames=frames)
    drain(redis, [FILM])
    assert seen == [("good", frames)]


def test_a_job_that_failed_keeps_it(redis: Redis, queue: Queue) -> None:
    failed = put(redis, queue, "bad")
    drain(redis, [FILM])
    assert (failed.get_status(), redis.zcard(keys.BODY_HOLDS)) == ("failed", 1)
    failed.requeue()
    drain(redis, [FILM])
    assert seen == [("bad", [LONG, "short", LONG])] * 2


def test_a_body_that_is_gone_fails_the_job_for_good_and_says_so(redis: Redis, queue: Queue) -> None:
    lost = put(redis, queue)
    redis.delete(*redis.keys(f"{keys.BODY}*"))
    drain(redis, [FILM])
    assert lost.get_status() == "failed"
    error = redis.hget(lost.key, "errand_error")
    assert b"BodyGoneError" in error
    assert b"100,002 bytes of the payload are gone from Redis" in error


def test_jobs_share_the_room_of_their_process(redis: Redis, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errand.contract.body_memory.room._size_bytes", 150_000)
    inside: list[int] = []

    @job()
    async def run(film: Film) -> None:
        inside.append(len(inside_now) + 1)
        inside_now.add(film.title)
        await asyncio.sleep(0.05)
        inside_now.discard(film.title)

    inside_now: set[str] = set()
    monkeypatch.setattr(__name__ + ".FILM", run.adopt("jobs.film"))
    for number in range(4):
        put(redis, queue, str(number), frames=[f"{LONG}{number}"])
    drain(redis, [FILM], threads=4)
    assert inside == [1, 1, 1, 1]


def test_a_plain_worker_runs_it_and_maintenance_lets_it_go(redis: Redis, perform: Perform) -> None:
    stored, bodies = take_apart({"text": LONG, "note": "x"}, None)
    holder = BodyStore(redis, Clock()).put(bodies, 0)
    done = perform("measure", stored)
    assert (done.get_status(), done.return_value()) == ("finished", 50_000)
    (name,) = bodies
    redis.zrem(keys.BODY_HOLDS, f"{name}:{holder}")
    redis.zadd(keys.BODY_HOLDS, {f"{name}:{done.id}": 0})
    Bodies(redis).run()
    assert find(redis) == []


def test_a_plain_worker_says_that_a_body_is_gone(redis: Redis, perform: Perform) -> None:
    stored, _ = take_apart({"text": LONG}, None)
    lost = perform("measure", stored, tries=3)
    assert lost.get_status() == "failed"
    assert b"BodyGoneError" in redis.hget(lost.key, "errand_error")


def test_outside_a_job_such_a_payload_says_what_is_missing() -> None:
    stored, _ = take_apart({"film": {"title": "x", "frames": [LONG]}}, "film")
    with pytest.raises(RuntimeError, match="lies outside its job"):
        FILM.perform(**stored)


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_large_mail_goes_all_the_way(services: Services, redis: Redis, sink: ScriptedSink, is_plain: bool) -> None:
    services.start_api()
    id = services.post("email", {"to": ["a@example.com"], "subject": "x", "text": "<p>x</p>\n" * 300_000})
    assert redis.strlen(redis.keys(f"{keys.BODY}*")[0]) > 2_000_000
    services.start_plain_worker("--burst") if is_plain else services.start_worker()
    assert services.wait_for(id)["status"] == "finished"
    assert sink.mails[0].message.get_payload().count("<p>x</p>") == 300_000
    if is_plain:
        assert find(redis)
        services.start_worker()
    wait_until(lambda: not find(redis), 30)
