"""/v1/jobs/{id}/attempts."""

import json
from hashlib import sha1
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from redis import Redis
from rq import Queue, SimpleWorker
from starlette.testclient import TestClient

from errand.api.routes.attempts import AttemptList
from errand.worker.trace import pack_trace
from tests.support.job_fixtures import Perform
from tests.support.services import Services

START = 1_790_000_000.25  # 2026-09-21T14:13:20.250000Z
TRACE = (
    'Traceback (most recent call last):\n  File "/usr/lib/python3.11/json/decoder.py", line 1, in raw\n    x\n'
    '  File "/srv/jobs/sms.py", line 12, in send\n    int(to)\nValueError: no number\n'
)
SHOWN = (
    'ValueError: no number\n  File "/srv/jobs/sms.py", line 12, in send\n    int(to)\n'
    "  … 1 frame of a library at decoder.py:1 in raw"
)


def post(client: TestClient) -> str:
    return str(client.post("/v1/jobs/log", json={"text": "x"}).json()["id"])


def note(redis: Redis, id: str, number: int, outcome: str = "failed", trace: str = "", **more: Any) -> None:
    """Write an attempt down as the worker does."""
    name = sha1(trace.encode()).hexdigest() if trace else ""
    if trace:
        redis.set(f"errand:trace:{name}", pack_trace(trace))
    kept = {"worker": "w1", "started": START + number, "ended": START + number + 0.5, "outcome": outcome}
    kept |= {
        "error": {"type": "ValueError", "message": "no number"},
        "frame": "jobs/sms.py:12 in send",
        "trace": name,
    }
    redis.hset(f"errand:attempts:{id}", str(number), json.dumps(kept | more))


def run(redis: Redis, id: str, status: str, number: int, **more: Any) -> None:
    """Let the job's record have its newest attempt."""
    fields: dict[Any, Any] = {"status": status, "errand_attempts": number, "worker_name": "w2"}
    fields["started_at"] = "2026-09-21T15:00:00.5Z"
    redis.hset(f"rq:job:{id}", mapping=fields | more)


def read(client: TestClient, id: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{id}/attempts{query}")
    assert answer.status_code == 200, answer.text
    TypeAdapter(AttemptList).validate_python(answer.json(), extra="forbid")
    return list(answer.json()["items"])


def test_each_attempt_is_shown_with_its_error_and_its_folded_traceback(client: TestClient, redis: Redis) -> None:
    id = post(client)
    note(redis, id, 2, "interrupted", error=None, frame="")
    note(redis, id, 1, trace=TRACE)
    run(redis, id, "started", 3)
    first, second, third = read(client, id)
    assert first == {
        "number": 1,
        "worker": "w1",
        "started_at": "2026-09-21T14:13:21.250000Z",
        "ended_at": "2026-09-21T14:13:21.750000Z",
        "outcome": "failed",
        "error": {"type": "ValueError", "message": "no number"},
        "frame": "jobs/sms.py:12 in send",
        "traceback": SHOWN,
    }
    assert (second["outcome"], second["error"], second["frame"], second["traceback"]) == (
        "interrupted",
        None,
        None,
        None,
    )
    assert (third["number"], third["worker"], third["outcome"], third["ended_at"]) == (3, "w2", None, None)
    assert read(client, id, "?full=true")[0]["traceback"] == TRACE


def test_the_newest_one_finished_and_a_traceback_that_is_gone_is_null(client: TestClient, redis: Redis) -> None:
    id = post(client)
    note(redis, id, 1, trace=TRACE)
    redis.delete(*redis.keys("errand:trace:*"))
    run(redis, id, "finished", 2, ended_at="2026-09-21T15:00:01.5Z")
    first, second = read(client, id)
    assert (first["traceback"], first["error"]["type"]) == (None, "ValueError")
    assert (second["outcome"], second["started_at"], second["ended_at"]) == (
        "finished",
        "2026-09-21T15:00:00.5Z",
        "2026-09-21T15:00:01.5Z",
    )


def test_what_was_not_written_down_is_shown_from_the_record_and_rqs_result(client: TestClient, redis: Redis) -> None:
    id, again = post(client), post(client)
    error = json.dumps({"type": "ValueError", "message": "no number"})
    run(redis, id, "failed", 2, ended_at="2026-09-21T15:00:01.5Z", errand_error=error)
    redis.xadd(f"rq:results:{id}", {"type": "2", "exc_string": pack_trace(TRACE)})
    (one,) = read(client, id)
    assert (one["number"], one["outcome"], one["error"]["message"]) == (2, "failed", "no number")
    assert one["traceback"] == SHOWN
    run(redis, again, "scheduled", 1, ended_at="2026-09-21T15:00:01.5Z", errand_error=error)
    assert [(one["outcome"], one["error"]["type"]) for one in read(client, again)] == [("failed", "ValueError")]


def test_a_job_that_has_not_begun_has_none_and_an_unknown_one_is_a_404(client: TestClient, redis: Redis) -> None:
    id, away = post(client), post(client)
    assert read(client, id) == []
    assert client.get(f"/v1/jobs/{id[:-1]}{'1' if id[-1] == '0' else '0'}/attempts").status_code == 404
    note(redis, away, 1)
    redis.delete(f"rq:job:{away}")  # as RQ's own delete leaves it
    assert [one["number"] for one in read(client, away)] == [1]


def test_a_job_that_rq_alone_knows_shows_its_failure(client: TestClient, redis: Redis) -> None:
    queue = Queue("log", connection=redis, serializer="json")
    job = queue.enqueue("builtins.int", "x")
    SimpleWorker([queue], connection=redis, serializer="json").work(burst=True)
    (one,) = read(client, job.id)
    assert (one["number"], one["outcome"], one["error"]["type"]) == (1, "failed", "ValueError")
    assert one["traceback"].startswith("ValueError: invalid literal for int() with base 10: 'x'\n  … ")


def test_a_job_that_fails_under_a_plain_worker_shows_its_own_frames(
    client: TestClient, perform: Perform, tmp_path: Path
) -> None:
    job = perform("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    (one,) = read(client, job.id)
    assert (one["number"], one["outcome"]) == (1, "failed")
    assert "fixtures/jobs/fail.py" in one["traceback"].splitlines()[1]


def test_a_worker_writes_down_what_is_read_here_and_in_groups(services: Services, tmp_path: Path) -> None:
    services.start_api()
    services.start_worker()
    again = services.post("fail", {"ledger": str(tmp_path / "again"), "succeed_at": 2})
    failed = services.post("fail", {"ledger": str(tmp_path / "failed"), "permanent": True})
    services.wait_for(failed, "failed"), services.wait_for(again, "finished")
    first, second = services.call("GET", f"/v1/jobs/{again}/attempts").body["items"]
    outcomes = [(attempt["number"], attempt["outcome"]) for attempt in (first, second)]
    assert outcomes == [(1, "failed"), (2, "finished")]
    place = first["frame"].removeprefix("jobs/fail.py:").replace(" in ", ", in ")
    error, frame, *_ = first["traceback"].splitlines()
    assert error == "ValueError: attempt 1 failed"
    assert frame.endswith(f'/jobs/fail.py", line {place}')
    (group,) = services.call("GET", "/v1/dead-letters/groups?type=fail").body["items"]
    assert (group["failed"], group["retrying"], group["example"]) == (1, 0, failed)
    assert group["frame"] == services.call("GET", f"/v1/jobs/{failed}/attempts").body["items"][0]["frame"]
