"""Watching jobs and batches over HTTP, with a real API and real workers."""

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes import events
from errand.local.valkey import EmbeddedValkey
from errand.store.batch import BatchReader
from errand.store.observe.logs import LogReader
from errand.store.settings import QueueSettings
from errand.store.status import StatusReader
from errand.store.watch.watcher import Watcher
from tests.api.sse import Event, Stream
from tests.conftest import build_environment
from tests.store.test_event_ids import FRESH
from tests.support.connectors import connect
from tests.support.services import Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until


def watch(services: Services, id: str, last_id: str | None = None) -> list[Event]:
    """Return all events of a job up to its end."""
    with Stream(services.base_url, f"/v1/jobs/{id}/events", last_id) as stream:
        assert stream.answer.status == 200
        return list(stream)


def describe(event: Event) -> tuple[str, str]:
    """Return an event's kind and the job's status in it."""
    return event.kind, event.data.get("status", "")


def count_clients(redis: Redis) -> int:
    return int(redis.pubsub_numsub("errand:events")[0][1])


@pytest.mark.quick
def test_a_jobs_life_is_shown_from_queue_to_end(services: Services) -> None:
    services.start_api()
    id = services.post("sleep", {"seconds": 1})
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        events = iter(stream)
        assert describe(next(events)) == ("status", "queued")
        services.start_worker()
        rest = list(events)
    assert describe(rest[0]) == ("status", "started")
    assert {event.kind for event in rest[1:-1]} == {"progress"}
    assert [event.data["done"] for event in rest[1:-1]] == sorted(event.data["done"] for event in rest[1:-1])
    assert describe(rest[-1]) == ("end", "finished")
    assert rest[-1].data == services.read(id)


def test_each_attempt_is_shown(services: Services, tmp_path: Path) -> None:
    services.start_api()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "succeed_at": 2}, "?delay_seconds=1")
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        services.start_worker()
        events = [event for event in stream if event.kind != "progress"]
    words = [describe(event) for event in events]
    assert words[0] == ("status", "scheduled")
    assert words.count(("status", "started")) == 2
    assert words[-1] == ("end", "finished")
    (waiting,) = [event for event in events[1:] if describe(event) == ("status", "scheduled")]
    assert waiting.data["error"]["message"] == "attempt 1 failed"


def test_an_end_without_success_ends_the_stream_too(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    assert describe(watch(services, id)[-1]) == ("end", "failed")


def test_events_come_from_a_plain_rq_worker(services: Services) -> None:
    services.start_api()
    id = services.post("sleep", {"seconds": 1})
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        services.start_plain_worker()
        events = list(stream)
    kinds = [event.kind for event in events]
    assert kinds.count("progress") >= 2
    assert ("status", "started") in [describe(event) for event in events]
    assert describe(events[-1]) == ("end", "finished")


def test_a_client_that_comes_back_after_any_event_gets_the_rest(services: Services) -> None:
    services.start_api()
    id = services.post("sleep", {"seconds": 1})
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        events = iter(stream)
        seen = [next(events)]
        services.start_worker()
        seen += list(events)
    for event in seen[:-1]:
        rest = watch(services, id, event.id)
        expected = [("status", "started")] if event.data.get("status") == "queued" else []
        assert [describe(one) for one in rest if one.kind == "status"] == expected
        assert [one.kind for one in rest].count("progress") == (
            event.id.rpartition(".")[2] != seen[-2].id.rpartition(".")[2]
        )
        assert describe(rest[-1]) == ("end", "finished")
        assert rest[-1].id == seen[-1].id


def test_a_client_that_has_seen_the_end_is_sent_away(services: Services) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("echo", {"value": 1})
    services.wait_for(id)
    (end,) = watch(services, id)
    assert end.kind == "end"
    with Stream(services.base_url, f"/v1/jobs/{id}/events", end.id) as stream:
        assert stream.answer.status == 204


def test_an_end_before_a_requeue_is_not_the_end(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    id = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    end = watch(services, id)[-1]
    services.call("POST", f"/v1/jobs/{id}/requeue")
    services.wait_for(id)
    assert describe(watch(services, id, end.id)[-1]) == ("end", "failed")


@pytest.mark.quick
def test_a_deleted_job_ends_its_stream(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1})
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        events = iter(stream)
        next(events)
        redis.delete(f"rq:job:{id}")
        assert [(event.kind, event.data) for event in events] == [("end", {"id": id, "status": "deleted"})]


def test_a_batch_is_shown_until_all_its_jobs_have_ended(services: Services) -> None:
    services.start_api()
    items = [{"seconds": 0.7 if number else 0} for number in range(3)]
    batch = services.call("POST", "/v1/batches/sleep", {"items": items}).body
    path = batch["links"]["self"] + "/events"
    with Stream(services.base_url, path) as stream:
        events = iter(stream)
        first = next(events)
        services.start_worker()
        rest = list(events)
    assert (first.kind, first.data["queued"]) == ("progress", 3)
    assert {event.kind for event in rest[:-1]} == {"progress"}
    assert (rest[-1].kind, rest[-1].data["finished"], rest[-1].data["percent"]) == ("end", 3, 100)
    with Stream(services.base_url, path, first.id) as stream:
        assert [event.kind for event in stream] == ["end"]
    with Stream(services.base_url, path, rest[-1].id) as stream:
        assert stream.answer.status == 204


def test_all_streams_of_a_process_share_one_subscription(services: Services, redis: Redis) -> None:
    services.start_api()
    ids = [services.post("echo", {"value": number}) for number in range(20)]
    streams = [Stream(services.base_url, f"/v1/jobs/{id}/events") for id in ids for _ in range(2)]
    wait_until(lambda: count_clients(redis) > 0)
    assert count_clients(redis) == 1
    services.start_worker()
    for stream in streams:
        assert describe(list(stream)[-1]) == ("end", "finished")
        stream.close()


def test_a_gone_client_is_watched_for_no_longer(services: Services, redis: Redis) -> None:
    services.start_api()
    id = services.post("echo", {"value": 1}, "?delay_seconds=60")
    stream = Stream(services.base_url, f"/v1/jobs/{id}/events")
    wait_until(lambda: count_clients(redis) == 1)
    stream.close()
    wait_until(lambda: count_clients(redis) == 0)


@pytest.mark.quick
def test_a_stop_ends_streams_and_waits_at_once(services: Services) -> None:
    services.start_api()
    api = services.processes[-1]
    id = services.post("echo", {"value": 1}, "?delay_seconds=60")
    with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
        events = iter(stream)
        next(events)
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(services.call, "GET", f"/v1/jobs/{id}", None, {"Prefer": "wait=20"})
            time.sleep(0.3)  # the request has to be there first
            began = time.monotonic()
            api.send_signal(signal.SIGTERM)
            assert list(events) == []
            assert waiting.result().body["status"] == "scheduled"
    assert api.wait(5) in (0, -signal.SIGTERM)
    assert time.monotonic() - began < 3
    assert "Traceback" not in services.read_log(api)


def test_a_redis_that_restarts_ends_no_stream(
    project: Path, own_valkey: EmbeddedValkey, sink: ScriptedSink, tmp_path: Path
) -> None:
    services = Services(project, build_environment(own_valkey.url, sink, tmp_path), tmp_path)
    try:
        services.start_api()
        id = services.post("echo", {"value": 1})
        with Stream(services.base_url, f"/v1/jobs/{id}/events") as stream:
            events = iter(stream)
            next(events)
            own_valkey.stop()
            time.sleep(2.5)
            own_valkey.start()
            services.start_worker()
            assert [describe(event) for event in events][-1] == ("end", "finished")
    finally:
        services.stop()


def test_the_end_is_shown_without_a_poll(services: Services) -> None:
    services.start_api()
    services.start_worker()
    delays = []
    for _ in range(5):
        id = services.post("sleep", {"seconds": 0.5})
        end = watch(services, id)[-1]
        ended_at = datetime.fromisoformat(end.data["ended_at"])
        delays.append((datetime.now(UTC) - ended_at).total_seconds())
    assert sorted(delays)[2] < 0.1, delays


@pytest.mark.parametrize("path", ["/v1/jobs/{}/events", "/v1/batches/{}/events"])
def test_an_unknown_id_is_a_404(client: TestClient, path: str) -> None:
    answer = client.get(path.format("5f0c7d1e-0000-4000-8000-000000000000"))
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_head_announces_a_stream_and_begins_none(client: TestClient) -> None:
    id = client.post("/v1/jobs/log", json={"text": "x"}).json()["id"]
    answer = client.head(f"/v1/jobs/{id}/events")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert "Content-Length" not in answer.headers


def test_an_idle_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch, queue_settings: QueueSettings) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.05)

    async def read() -> list[bytes]:
        redis = connect(queue_settings.redis_url)
        watcher = Watcher(redis, StatusReader(redis), BatchReader(redis, queue_settings))
        stream = events._stream(events.JobEvents(FRESH.id, None, LogReader(redis)), FRESH, watcher, watcher.watch_job)
        chunks = [await anext(stream) for _ in range(3)]
        await stream.aclose()  # type: ignore[attr-defined]
        await watcher.close()
        await redis.aclose()
        return chunks

    first, *rest = asyncio.run(read())
    assert first.startswith(b"event: status\n")
    assert rest == [b": ping\n\n"] * 2
