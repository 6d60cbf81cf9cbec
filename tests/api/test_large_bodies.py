"""Bodies of up to 10 MiB: taken beside the event loop, stored outside their jobs, within bounds."""

import asyncio
import json
import threading
from typing import Any

import pytest
from pydantic import BaseModel
from redis import Redis
from starlette.testclient import TestClient

from errand import Job, job
from errand.api.background_tasks import Tasks
from errand.api.http.body_memory import BodyRoom
from errand.api.http.problems import Problem
from errand.api.settings import ApiSettings
from errand.redis import keys
from errand.store.settings import QueueSettings
from tests.support.connectors import create_app
from tests.support.job_types import TYPES

MIB = 1024 * 1024


def mail(size_bytes: int, **fields: Any) -> dict[str, Any]:
    return {"to": ["ada@example.com"], "subject": "x", "html": "x" * size_bytes, **fields}


def find(redis: Redis) -> list[bytes]:
    return sorted(redis.scan_iter(f"{keys.BODY}*"))


def count_holds(redis: Redis) -> int:
    return redis.zcard(keys.BODY_HOLDS)


def test_a_mail_of_megabytes_is_taken_and_lies_outside_its_job(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/jobs/email", json=mail(5 * MIB))
    assert answer.status_code == 202
    (body,) = find(redis)
    assert redis.strlen(body) == 5 * MIB + 2
    assert redis.strlen(body) > 1000 * len(redis.hget(f"rq:job:{answer.json()['id']}", "data"))


def test_reading_and_listing_jobs_reads_no_body(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/jobs/email", json=mail(MIB))
    redis.delete(*find(redis))
    assert client.get(answer.headers["location"]).json()["status"] == "queued"
    assert len(client.get("/v1/jobs?type=email").json()["items"]) == 1


@pytest.mark.parametrize(("type", "size_bytes"), [("email", 10 * MIB), ("log", MIB)])
def test_each_type_has_its_own_limit(client: TestClient, redis: Redis, type: str, size_bytes: int) -> None:
    answer = client.post(
        f"/v1/jobs/{type}", content=b"x" * (size_bytes + 1), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, f"{size_bytes:,} bytes" in answer.json()["detail"]) == (413, True)
    pieces = iter([b"x" * MIB] * (size_bytes // MIB + 1))
    answer = client.post(f"/v1/jobs/{type}", content=pieces, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert redis.keys() == []


def test_the_limit_of_mail_is_a_setting(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_MAX_BYTES", "2MiB")
    assert client.post("/v1/jobs/email", json=mail(2 * MIB)).status_code == 413
    assert client.post("/v1/jobs/email", json=mail(2 * MIB - 1000)).status_code == 202
    assert client.post("/v1/batches/email", json={"items": [mail(MIB)] * 2}).status_code == 413


def test_a_batch_stores_what_its_jobs_share_once(client: TestClient, redis: Redis) -> None:
    items = [mail(MIB, to=[f"r{number}@example.com"]) for number in range(5)] + [mail(2 * MIB), mail(10)]
    answer = client.post("/v1/batches/email", json={"items": items})
    assert (answer.status_code, answer.json()["total"]) == (202, 7)
    assert (len(find(redis)), count_holds(redis)) == (2, 6)


def test_a_large_body_of_small_things_lies_outside_as_a_whole(client: TestClient, redis: Redis) -> None:
    numbers = list(range(30_000))
    answer = client.post("/v1/jobs/log", json={"text": "x", "attributes": {"numbers": numbers}})
    assert answer.status_code == 202
    (body,) = find(redis)
    assert json.loads(redis.get(body)) == {"text": "x", "attributes": {"numbers": numbers}}


@pytest.mark.parametrize("query", ["", "?delay_seconds=60", "?tag=a&concurrency_key=x&concurrency=2"])
def test_a_large_body_is_chunked_as_well(client: TestClient, redis: Redis, query: str) -> None:
    text = json.dumps(mail(2 * MIB)).encode()
    pieces = iter([text[:MIB], text[MIB:]])
    answer = client.post(f"/v1/jobs/email{query}", content=pieces, headers={"Content-Type": "application/json"})
    assert (answer.status_code, count_holds(redis)) == (202, 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**mail(2 * MIB), "nothing": 1}, "#/nothing"),
        ({"to": ["ada"], "subject": "x", "html": "x" * MIB}, "#/to/0"),
    ],
)
def test_a_large_body_that_is_wrong_is_shown_as_a_small_one(
    client: TestClient, redis: Redis, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/jobs/email", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert redis.keys() == []


def test_a_large_body_that_is_no_json_is_a_422(client: TestClient) -> None:
    answer = client.post("/v1/jobs/email", content=b"x" * MIB, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_large_body_with_a_number_that_json_can_not_hold_is_a_422(client: TestClient, redis: Redis) -> None:
    body = json.dumps({"text": "x" * 80_000, "attributes": {"n": float("inf")}}).encode()
    answer = client.post("/v1/jobs/log", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, redis.keys()) == (422, [])


def test_a_large_body_may_begin_with_a_byte_order_mark(client: TestClient) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(mail(MIB)).encode()
    answer = client.post("/v1/jobs/email", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202


def test_a_request_that_is_sent_again_gets_its_answer_and_leaves_nothing_outside(
    client: TestClient, redis: Redis
) -> None:
    first = client.post("/v1/jobs/email", json=mail(MIB), headers={"Idempotency-Key": "a"})
    again = client.post("/v1/jobs/email", json=mail(MIB), headers={"Idempotency-Key": "a"})
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    other = client.post("/v1/jobs/email", json=mail(MIB + 1), headers={"Idempotency-Key": "a"})
    assert (other.status_code, len(find(redis)), count_holds(redis)) == (422, 1, 1)


def test_a_request_whose_parent_is_unknown_leaves_nothing_outside(client: TestClient, redis: Redis) -> None:
    answer = client.post("/v1/jobs/email?after=5f0c7d1e-0000-4000-8000-000000000000", json=mail(MIB))
    assert (answer.status_code, redis.keys()) == (422, [])


def test_an_endpoints_tasks_may_be_large(queue_settings: QueueSettings, redis: Redis) -> None:
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES)

    @app.post("/report")
    async def report(tasks: Tasks) -> list[str]:
        message = TYPES["email"].payload.model(**mail(3 * MIB))
        return [tasks.add_task(TYPES["email"], message), tasks.add_task(TYPES["log"], "done")]

    with TestClient(app, base_url="http://localhost") as client:
        assert len(client.post("/report").json()) == 2
    assert (len(find(redis)), count_holds(redis)) == (1, 1)


class Draft(BaseModel):
    pages: int
    text: str = ""

    def to_stored(self) -> "Draft":
        return Draft(pages=self.pages, text="é" * 1000 * self.pages)


@job()
def run(draft: Draft) -> None: ...


@pytest.mark.parametrize(("pages", "bodies"), [(1, 0), (20, 0), (100, 1)])  # 20: more than 64 KiB with escapes alone
def test_a_small_body_that_becomes_a_large_payload_lies_outside_too(
    queue_settings: QueueSettings, redis: Redis, pages: int, bodies: int
) -> None:
    draft: Job[..., Any] = run.adopt("jobs.draft")
    app = create_app(ApiSettings(ERRAND_LOCAL=True), queue_settings, TYPES | {"draft": draft})
    with TestClient(app, base_url="http://localhost") as client:
        assert client.post("/v1/jobs/draft", json={"pages": pages}).status_code == 202
    assert (len(find(redis)), count_holds(redis)) == (bodies, bodies)


def test_no_room_in_redis_is_a_503_and_nothing_is_stored(
    client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errand.redis.memory.MemoryGuard.limit_bytes", 12 * MIB)
    assert client.post("/v1/jobs/email", json=mail(2 * MIB)).status_code == 202
    before = redis.keys()
    answer = client.post("/v1/jobs/email", json=mail(2 * MIB - 1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:problem-type:errand:bodies-full"
    assert "Nothing was stored" in answer.json()["detail"]
    assert redis.keys() == before
    assert client.post("/v1/jobs/email", json=mail(4 * MIB)).status_code == 413  # it would never fit
    assert client.post("/v1/jobs/email", json=mail(100)).status_code == 202


def test_nothing_of_a_large_body_is_parsed_or_packed_on_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    model = TYPES["email"].payload.model
    for name in ("model_validate_json", "model_dump"):
        done = getattr(model, name)

        def note(*args: Any, done: Any = done, **options: Any) -> Any:
            threads.add(threading.current_thread().name)
            return done(*args, **options)

        monkeypatch.setattr(model, name, note)
    assert client.post("/v1/jobs/email", json=mail(2 * MIB), headers={"Idempotency-Key": "x"}).status_code == 202
    assert {name.partition("_")[0] for name in threads} == {"body"}


async def enter(room: BodyRoom, size_bytes: int, order: list[int], leave: asyncio.Event) -> None:
    async with room.admit(size_bytes):
        order.append(size_bytes)
        await leave.wait()


def test_a_body_that_does_not_fit_waits_and_is_let_in_in_turn() -> None:
    async def main() -> None:
        room, leave = BodyRoom(100), asyncio.Event()
        order: list[Any] = []
        async with room.admit(80):
            waiting = [asyncio.create_task(enter(room, size, order, leave)) for size in (50, 20, 60)]
            await asyncio.sleep(0)
            assert order == []  # not even the 20 for which there is room: the 50 would never have its turn
        await asyncio.sleep(0.01)
        assert order == [50, 20]
        leave.set()
        await asyncio.gather(*waiting)
        async with room.admit(100):
            pass

    asyncio.run(main())


def test_one_that_waits_too_long_is_asked_to_come_again_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        room, leave = BodyRoom(100), asyncio.Event()
        order: list[Any] = []
        async with room.admit(80):
            monkeypatch.setattr("errand.api.http.body_memory.WAIT_SECONDS", 0.05)
            late = asyncio.create_task(enter(room, 50, order, leave))
            await asyncio.sleep(0)
            monkeypatch.undo()
            behind = asyncio.create_task(enter(room, 20, order, leave))
            with pytest.raises(Problem, match="try again") as refused:
                await late
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
            await asyncio.sleep(0.01)
            assert order == [20]
        leave.set()
        await behind

    asyncio.run(main())


def test_one_that_leaves_while_it_waits_holds_up_nobody() -> None:
    async def main() -> None:
        room, leave = BodyRoom(100), asyncio.Event()
        order: list[Any] = []
        async with room.admit(80):
            left = asyncio.create_task(enter(room, 50, order, leave))
            behind = asyncio.create_task(enter(room, 20, order, leave))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.sleep(0.01)
            assert order == [20]
            behind.cancel()  # inside, this time
        async with room.admit(1000):  # larger than all of it: alone
            assert room._free_bytes == 0

    asyncio.run(main())


def test_a_body_that_comes_too_slowly_is_a_408(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errand.api.request_intake.READ_SECONDS", 0.05)

    async def main() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        first = [{"type": "http.request", "body": b"x" * 70_000, "more_body": True}]

        async def receive() -> dict[str, Any]:
            if first:
                return first.pop()
            if sent:
                return {"type": "http.disconnect"}
            await asyncio.sleep(10)
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/jobs/email",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"90000")],
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "root_path": "",
        }
        await client.app(scope, receive, send)  # type: ignore[arg-type]
        return sent

    assert client.portal is not None
    assert client.portal.call(main)[0]["status"] == 408


def test_jobs_whose_bodies_went_meanwhile_are_a_503_that_says_that_nothing_was_stored(
    client: TestClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = client.app.state.store.intake.bodies.put  # type: ignore[attr-defined]

    def lose(*args: Any) -> Any:
        holder = put(*args)
        redis.delete(*find(redis))
        return holder

    monkeypatch.setattr("errand.store.bodies.BodyStore.put", lambda self, *args: lose(*args))
    answer = client.post("/v1/jobs/email", json=mail(MIB))
    assert (answer.status_code, "Nothing was stored" in answer.json()["detail"]) == (503, True)
    assert redis.keys() == []
