"""Every text that a job, a worker or a schedule can have, each with markup in it that names the text."""

import json
import time
from base64 import b64encode
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from redis import Redis
from rq.job import Job
from starlette.testclient import TestClient

from errand.redis import keys
from tests.api.stored import Stored

PLAIN = str.maketrans({'"': "'", "\\": "/"})
BATCH = "0a4c7a55-52a6-44a5-9c07-11b4c7e26b1f"
MORNING = {"type": "log", "payload": {"text": "x"}, "every_seconds": 3600}
NOW = "2026-11-23T14:17:21.698000Z"


def mark(name: str) -> str:
    """Return markup in every way in which text could become markup, or an address code; `name` is found again in it."""
    return (
        f"javascript:q1.{name}//\"'><script>q1()</script><img src=q1 onerror=q1()><b hx-get=q1 style=q1>-->{{{{q1}}}}"
    )


def store_everything(client: TestClient, stored: Stored) -> dict[str, list[str]]:
    """Store it all; return values for the pages' parameters, as `list_pages` takes them."""
    redis, hostile = stored.redis, Stored(stored.redis, mark("queue")).queue
    payload = {mark("key"): mark("value"), "list": [mark("item")]}
    jobs = {
        "failed": stored.failed(mark("traceback"), description=mark("type")),
        "finished": stored.finished({mark("result_key"): mark("result_value")}, description=mark("finished_type")),
        "queued": hostile.enqueue("copy.copy", kwargs=payload, description=mark("queued_type")),
        "started": stored.started(1, description=mark("started_type")),
    }
    for state, job in jobs.items():
        _describe(redis, job, state)
    log = client.post("/v1/jobs/log?tag=plain", json={"text": mark("payload")}).json()["id"]
    redis.hset(keys.JOB + log, mapping={"dependency_ids": json.dumps([mark("parent")])})
    for store in (_store_worker, _store_held, _store_batch):
        store(redis)
    return {
        "/jobs/{id}": [*(job.id for job in jobs.values()), log],
        "/batches/{id}": [BATCH],
        "/new/{type}": ["log", "email"],
        "/schedules/{name}": _store_schedules(client, redis),
    }


def write_mail(folder: Path) -> str:
    """Write a mail as the local server keeps it; return its name."""
    message, name = EmailMessage(), "1790000000000000000"
    message["From"], message["To"] = f'"{mark("sender").translate(PLAIN)}" <a@example.com>', "b@example.com"
    message["Subject"], message["X-Note"] = mark("subject"), mark("header")
    message.set_content(mark("text"))
    message.add_alternative(mark("html"), subtype="html")
    message.add_attachment(b"x", "text", "plain", filename=mark("file"))
    (folder / f"{name}.eml").write_bytes(b"X-Envelope-To: " + mark("to").encode() + b"\r\n" + message.as_bytes())
    return name


def _describe(redis: Redis, job: Job, state: str) -> None:
    error = {"type": mark(f"{state}_error"), "message": mark(f"{state}_message")}
    progress = {"done": 1, "total": 2, "message": mark(f"{state}_progress"), "updated_at": mark("updated_at")}
    parked = {"key": "x", "reason": mark("parked"), "since": mark("since")}
    attempt = {"outcome": "failed", "started": 1.0, "ended": 2.0, "worker": mark("ran_on"), "error": error}
    fields: dict[Any, Any] = {
        "errand_tags": json.dumps([mark(f"{state}_tag")]),
        **({"errand_error": json.dumps(error)} if state != "queued" else {}),
        "errand_frame": mark("frame"),
        "errand_progress": json.dumps(progress),
        "errand_batch": mark(f"{state}_batch"),
        "errand_webhook": mark("webhook"),
        "errand_unique": mark("unique"),
        "errand_expires_at": mark("expires_at"),
        "errand_attempts": "2",
        "errand_lines": "1",
        "errand_edits": json.dumps([{"at": mark("edited_at"), "attempts": 1, "payload": _pack({mark("edited"): 1})}]),
        "dependency_ids": json.dumps([mark(f"{state}_parent")]),
        "worker_name": mark("worker"),
        **({"errand_parked": json.dumps(parked)} if state == "queued" else {}),
    }
    redis.hset(job.key, mapping=fields)
    redis.hset(keys.ATTEMPTS + job.id, "1", json.dumps({**attempt, "frame": mark("attempt_frame")}))
    line = {"n": 1, "t": 1.0, "level": mark("level"), "attempt": 1, "logger": mark("logger"), "text": mark("line")}
    redis.rpush(keys.LOGS + job.id, json.dumps(line))
    redis.sadd(keys.CHILDREN + job.id, mark("child"))


def _pack(payload: dict[str, Any]) -> str:
    return b64encode(json.dumps(["copy.copy", None, [], payload]).encode()).decode()


def _read(redis: Redis, key: str | bytes) -> dict[Any, Any]:
    return redis.hgetall(key)


def _store_worker(redis: Redis) -> None:
    (known,) = redis.smembers(keys.WORKERS)
    name = keys.WORKER + mark("worker")
    redis.hset(name, mapping={**_read(redis, known), b"hostname": mark("host"), b"state": mark("state")})
    redis.hset(name, "queues", mark("served_queue").replace(",", ""))
    redis.sadd(keys.WORKERS, name)
    redis.hset(keys.TYPES + mark("worker"), mapping={mark("worker_type"): "0" * 12})


def _store_held(redis: Redis) -> None:
    redis.hset(f"{keys.HELD_TYPE}log:any", mapping={"since": mark("held_since"), "reason": mark("held")})
    redis.sadd(keys.HELD_TYPES, "log:any")
    redis.sadd(keys.PAUSED, mark("queue"))
    minute = int(time.time()) // 60
    redis.hset(f"{keys.TALLY}{minute}", f"{mark('counted_type')}|0|2|failed", 3)


def _store_batch(redis: Redis) -> None:
    record: dict[Any, Any] = {
        "type": mark("batch_type"),
        "created_at": mark("batch_at"),
        "webhook": mark("batch_webhook"),
    }
    redis.hset(keys.BATCH + BATCH, mapping={**record, mark("batch_job"): "failed"})


def _store_schedules(client: TestClient, redis: Redis) -> list[str]:
    """Store one under a plain name, and the same under one that is none: whoever reaches Redis can."""
    assert client.put("/v1/schedules/morning", json=MORNING).status_code == 201
    stored = _read(redis, f"{keys.SCHEDULE}morning")
    definition: dict[str, Any] = json.loads(stored[b"definition"]) | {"type": mark("schedule_type")}
    run = {"at": mark("run_at"), "slot": 1, "status": mark("run_status"), "detail": mark("run_detail")}
    names = ["morning", mark("schedule")]
    for name in names:
        ours: dict[Any, Any] = {
            "definition": json.dumps(definition),
            "payload": json.dumps({mark("schedule_key"): mark("schedule_value")}),
        }
        redis.hset(
            keys.SCHEDULE + name, mapping={**stored, **ours, "source": mark("source"), "created_at": mark("made")}
        )
        redis.rpush(f"{keys.SCHEDULE}{name}{keys.RUNS}", json.dumps(run))
        redis.zadd(keys.SCHEDULES, {name: time.time() + 3600})
    return names
