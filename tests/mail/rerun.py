"""Running jobs through RQ more than once, as a retry, a person or a second worker does."""

from contextvars import Context
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from errand.mail.ledger import MailLedger
from tests.support.sinks import ScriptedSink

ADA, BO = "ada@example.com", "bo@example.com"
MAIL = {"message": {"to": [ADA, BO], "subject": "Hello", "text": "It works."}}


def key_of(job: Job) -> str:
    return f"errand:mail:{job.id}"


def notes(redis: Redis) -> list[Any]:
    """Return the names of the fields noted for the only mail there is."""
    return [field for key in redis.keys("errand:mail:*") for field in redis.hkeys(key)]


def message_ids(sink: ScriptedSink) -> list[str]:
    return [str(mail.message["Message-ID"]) for mail in sink.mails]


def run_queued(redis: Redis, job: Job) -> Job:
    """Let a worker run what is queued; return the job as Redis then has it."""
    worker = SimpleWorker([Queue("tests", connection=redis, serializer="json")], connection=redis, serializer="json")
    Context().run(worker.work, burst=True)
    job.refresh()
    return job


def hand_back(redis: Redis, job: Job) -> Job:
    """Put the job back as a drain or a lost worker does, without being asked, and run it again."""
    redis.lpush("rq:queue:tests", job.id)
    return run_queued(redis, job)


def requeue(redis: Redis, job: Job, retries: int = 0) -> Job:
    """Requeue the failed job, as a person does, and run it again."""
    job.refresh()
    job.retries_left = retries
    job.requeue()
    return run_queued(redis, job)


def run_beside(redis: Redis, id: str) -> dict[str, Any]:
    """Run a job that already runs elsewhere, as a frozen worker's successor does."""
    return Context().run(Job.fetch(id, connection=redis, serializer="json").perform)


def error_of(redis: Redis, job: Job) -> str:
    return redis.hget(job.key, "errand_error").decode()


def die_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run of the e-mail job end between the server's answer and the note of it."""
    finish, left = MailLedger.finish, [SystemError("killed")]

    def finish_or_die(self: MailLedger, result: dict[str, Any]) -> None:
        if left:
            raise left.pop()
        finish(self, result)

    monkeypatch.setattr(MailLedger, "finish", finish_or_die)
