"""`errand_jobs`: what a test does with the jobs of an application, and sees of them."""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis import Redis
from rq.utils import as_text

from errand.builtin import email, log, webhook
from errand.contract.job import Job
from errand.log.line import LogLine
from errand.redis import keys
from errand.redis.connection import WORKER, Connector
from errand.redis.lua.loader import read_script
from errand.store.observe.bounded import unpack
from errand.store.settings import QueueSettings
from errand.store.status import JobStatus, read_status
from errand.testing.drain import Drainer, Ran
from errand.testing.mail import MemoryMail, SentMail
from errand.testing.outside import MemoryReceiver, MemorySink, SentWebhook
from errand.testing.server import RedisServer
from errand.testing.target import Target, connect_all
from errand.testing.time import RealTime, StandingTime, Time

MOST_JOBS = 1000  # attempts of one drain(): more than a test makes, and soon reached by jobs that enqueue each other
DEFAULTS = {  # what the built-in jobs need, where the test's environment has no other
    "SMTP_URL": "smtp://errand-jobs.invalid:25",
    "MAIL_FROM": "Errand <errand@example.com>",
    "WEBHOOK_SECRETS": f"whsec_{b64encode(b'errand_jobs' * 3).decode()}",
}


@dataclass
class StoredJob(JobStatus):
    """A job as it is now: what `GET /v1/jobs/{id}` returns, and its payload."""

    payload: Any = None


class JobsUnderTest:
    """The jobs of the application under test.

    `connector`, `settings` and `types` are what a service's `create_app` takes; `redis` is a client of the server.
    """

    def __init__(self, target: Target, server: RedisServer, time: Time) -> None:
        self.types: dict[str, Job[..., Any]] = target.types
        self.connector: Connector = server.connector
        self.redis: Redis = server.connector.connect(WORKER)
        self.settings = QueueSettings(REDIS_URL=server.url)
        self.mail = MemoryMail()
        self.receiver = MemoryReceiver()
        self.sink = MemorySink()
        self._target, self._server, self._time = target, server, time
        self._drainer: Drainer | None = None
        self._read = self.redis.register_script(read_script("store/status"))

    def drain(self, raise_errors: bool = True, most: int = MOST_JOBS) -> list[Ran]:
        """Run the jobs that are due until none is left, those that become due meanwhile as well.

        Return the attempts that were made, in their order. The first error of a job ends it and is raised, once it is
        recorded; with `raise_errors=False` all are recorded and the rest runs on, as under a worker. After `most`
        attempts it raises EndlessError where there are more.
        """
        __tracebackhide__ = True
        return self._provide_drainer().run(raise_errors, most)

    async def drain_async(self, raise_errors: bool = True, most: int = MOST_JOBS) -> list[Ran]:
        """Do as `drain` in a thread, while the caller's loop runs on: for jobs that call what it serves."""
        __tracebackhide__ = True
        return await asyncio.to_thread(self.drain, raise_errors, most)

    def advance(self, seconds: float) -> None:
        """Let time pass on the server: what is due then is run by the next `drain()`.

        Delays, waits before retries, schedules, expiry and lifetimes go by it. Raises RuntimeError on Valkey.
        """
        self._provide_drainer().chores.run()  # a schedule begins when a worker first sees it
        self._time.advance(seconds)

    @property
    def jobs(self) -> list[StoredJob]:
        """All jobs that are stored, in the order of their creation."""
        return self.select()

    def select(self, type: str | None = None, status: str | None = None) -> list[StoredJob]:
        """Return the jobs of a type, with a status."""
        names = [as_text(name).removeprefix(keys.JOB) for name in self.redis.keys(f"{keys.JOB}*")]
        found = [job for name in names if ":" not in name and (job := self._find(name))]
        chosen = [job for job in found if type in (None, job.type) and status in (None, job.status)]
        return sorted(chosen, key=lambda job: job.created_at or "")

    def find(self, id: str) -> StoredJob:
        """Return a job. Raises LookupError where there is none."""
        if job := self._find(id):
            return job
        there = ", ".join(f"{job.type} {job.id}" for job in self.jobs) or "none"
        raise LookupError(f"there is no job {id}; there are: {there}")

    @property
    def sent_mails(self) -> list[SentMail]:
        """What the e-mail job has sent."""
        return self.mail.sent

    @property
    def webhooks(self) -> list[SentWebhook]:
        """The webhooks that have been delivered."""
        return self.receiver.webhooks

    @property
    def logs(self) -> list[LogLine]:
        """The lines that the log job has written."""
        return self.sink.lines

    def close(self) -> None:
        """End what the test has opened."""
        if self._drainer is not None:
            self._drainer.close()
        self.redis.close()

    def _provide_drainer(self) -> Drainer:
        if self._drainer is None:
            self._drainer = Drainer(self._target, self._server, self.settings)
        return self._drainer

    def _find(self, id: str) -> StoredJob | None:
        status = read_status(id, self._read(keys=[keys.JOB + id, keys.RESULTS + id]))
        if status is None:
            return None
        stored: Any = self.redis.hget(keys.JOB + id, "data")
        return StoredJob(**vars(status), payload=_read_payload(stored or b""))


@contextmanager
def provide_jobs(target: Target, server: RedisServer, patch: pytest.MonkeyPatch) -> Iterator[JobsUnderTest]:
    """Provide an empty server until the block ends, and let the built-in jobs reach nothing outside the process."""
    time = _provide_time(server, patch)
    server.connector.connect(WORKER).flushall()
    _set_environment(server, patch)
    connect_all(server, patch)
    jobs = JobsUnderTest(target, server, time)
    patch.setattr(email, "find_transport", lambda settings: jobs.mail)
    patch.setattr(webhook, "post", jobs.receiver.post)
    patch.setattr(log, "open_sink", lambda url: jobs.sink)
    try:
        yield jobs
    finally:
        jobs.close()


def _provide_time(server: RedisServer, patch: pytest.MonkeyPatch) -> Time:
    if not server.is_fake:
        return RealTime()
    time = StandingTime()
    time.install(patch)
    return time


def _set_environment(server: RedisServer, patch: pytest.MonkeyPatch) -> None:
    """Point to the test's server, never to one of the user's, and give the built-in jobs what they need."""
    patch.delenv("REDIS_URL_FILE", raising=False)
    patch.setenv("REDIS_URL", server.url)
    for name, value in DEFAULTS.items():
        if name not in os.environ and f"{name}_FILE" not in os.environ:
            patch.setenv(name, value)


def _read_payload(stored: bytes) -> Any:
    """Return a job's arguments by name; None where they can't be read, or are not ours."""
    try:
        return json.loads(unpack(stored, keys.DATA_BYTES))[3]
    except (ValueError, LookupError, TypeError):
        return None
