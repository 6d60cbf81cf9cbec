"""Fills a server by real means: jobs posted over HTTP, run by real workers, one of which is killed.

Afterwards it holds jobs of every type and status, batches, schedules, a paused queue, and what Errand keeps beside
them. Each job has a name of its own here, by which the tests find it. Since it uses HTTP and commands alone, it runs at
the commit before the move as well as today.
"""

import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from rq.job import Job as RQJob
from rq.registry import ReadyJobRegistry

from tests.support.processes import find_runner, kill_all
from tests.support.receivers import SECRET
from tests.support.services import Process, Services
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
JOBS = Path(__file__).parent / "jobs"
MAIL = {"to": "ada@example.com", "subject": "Hello", "text": "It works."}
HOOK = "http://127.0.0.1:9/"  # nobody listens there
ORDER = {"value": "order 7"}
KEYED = {"Idempotency-Key": "order-7-paid"}
HOOKS = {"WEBHOOK_SECRETS": SECRET, "WEBHOOK_ALLOW_PRIVATE": "1"}


def copy_project(folder: Path) -> Path:
    """Return a copy of the application with the job files of this folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("service", "jobs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "worker.py", folder)
    shutil.copytree(JOBS, folder / "jobs", dirs_exist_ok=True, ignore=ignored)
    return folder


@dataclass
class Fill:
    """`names` tells each job's id by its name, `batches` each batch's; `keyed` is the answer under the
    key, `answers` are those to all that can be read, by path.
    """

    services: Services
    redis: Redis
    sink: ScriptedSink
    names: dict[str, str] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    keyed: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Do it all, and end every process."""
        closed = self.services.project / "closed"
        closed.touch()
        self.services.start_api(**HOOKS)
        self.run_to_ends()
        self.run_with_webhooks()
        self.kill_in_mid_job()
        self.leave_waiting()
        self.answers = {path: self.ask(path, method="GET") for path in self.list_paths()}
        self.services.stop()
        closed.unlink()

    def list_paths(self) -> list[str]:
        """Return what can be read of what is there."""
        lists = ["", "&tag=spring", "&type=log", "&queue=email", "&status=scheduled", "&type=gate&status=queued"]
        return [
            *(f"/v1/jobs/{id}" for id in self.names.values()),
            *(f"/v1/batches/{id}" for id in self.batches.values()),
            *(f"/v1/jobs?limit=20{query}" for query in lists),
            *("/v1/schedules/tick", "/v1/schedules/morning", "/v1/schedules/jobs.digest", "/v1/schedules"),
            *("/v1/queues", "/v1/workers", "/v1/dead-letters?queue=default"),
        ]

    # Asking the API

    def post(self, name: str, type: str, payload: Any = None, query: str = "") -> str:
        self.names[name] = self.services.post(type, payload, query)
        return self.names[name]

    def post_batch(self, name: str, type: str, items: list[Any], query: str = "") -> None:
        answer = self.services.call("POST", f"/v1/batches/{type}{query}", {"items": items})
        assert answer.status == 202, answer
        self.batches[name] = answer.body["id"]
        self.names |= {f"{name} {number}": job["id"] for number, job in enumerate(answer.body["jobs"], 1)}

    def ask(self, path: str, body: Any = None, method: str = "POST", headers: dict[str, str] | None = None) -> Any:
        answer = self.services.call(method, path, body, headers)
        assert answer.status in (200, 201, 202), answer
        return answer.body

    def wait_for(self, status: str, *names: str) -> None:
        for name in names:
            self.services.wait_for(self.names[name], status)

    def wait_at_gate(self, *names: str) -> None:
        """Wait until jobs run and have said so."""
        for name in names:
            wait_until(lambda id=self.names[name]: self.services.read(id)["progress"]["message"])

    def start_worker(self, *queues: str, **environment: str) -> Process:
        worker = self.services.start_worker(*queues, **HOOKS, **environment)
        wait_until(lambda: find_runner(worker.pid))
        return worker

    def end(self, worker: Process) -> None:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, self.services.read_log(worker)

    # The steps

    def run_to_ends(self) -> None:
        """Let jobs finish, fail, be stopped and canceled, and wait for their next try."""
        self.post("finished email", "email", MAIL, "?tag=spring&tag=to:ada")
        self.post("finished log", "log", {"text": "written", "level": "notice", "attributes": {"rows": 3}})
        self.post("finished", "gate", {"value": {"ü": [1, 2.5, None, "text"]}}, "?tag=spring")
        self.post("failed", "gate", {"then": "permanent"}, "?tag=spring")
        self.post("to be tried again", "gate", {"value": 2, "then": "fail"})
        self.post("stopped", "gate", {"value": 3, "then": "hold"})
        self.post("canceled", "gate", {"value": 4}, "?delay_seconds=3600")
        self.post_batch("ended", "gate", [{"value": 1}, {"then": "permanent"}])
        self.post_batch("running", "gate", [{"value": 1}, {"value": 2, "then": "fail"}], f"?webhook={HOOK}batch")
        self.keyed = self.ask("/v1/jobs/gate", ORDER, headers=KEYED)
        self.names["keyed"] = self.keyed["id"]
        worker = self.start_worker("default", "email", "log")
        self.wait_for("finished", "finished email", "finished log", "finished", "ended 1", "running 1", "keyed")
        self.wait_for("failed", "failed", "ended 2")
        self.wait_for("scheduled", "to be tried again", "running 2")
        self.wait_at_gate("stopped")
        for name in ("stopped", "canceled"):
            self.ask(f"/v1/jobs/{self.names[name]}/cancel")
        self.post("canceled with its parent", "gate", {"value": 5}, f"?after={self.names['failed']}")
        self.run_ticks()
        self.end(worker)

    def run_ticks(self) -> None:
        """Let a schedule have runs that have ended, and pause it."""
        tick = {"type": "gate", "payload": {"value": "tick"}, "every_seconds": 1}
        self.ask("/v1/schedules/tick", tick, "PUT")
        wait_until(lambda: self.list_ticks("finished"))
        self.ask("/v1/schedules/tick/pause")
        wait_until(lambda: len(self.list_ticks("finished")) == len(self.list_ticks()))
        for number, run in enumerate(reversed(self.list_ticks()), 1):
            self.names[f"tick {number}"] = run["job_id"]

    def list_ticks(self, *statuses: str) -> list[Any]:
        runs = self.ask("/v1/schedules/tick", method="GET")["runs"]
        return [run for run in runs if not statuses or run["status"] in statuses]

    def run_with_webhooks(self) -> None:
        """Let ends be told that nobody delivers, and a job enqueue another one."""
        self.post("told of", "gate", {"value": 6}, f"?webhook={HOOK}job&tag=spring")
        self.post("told of to all", "item", {"item_id": 7})
        worker = self.start_worker("default", WEBHOOK_URL=HOOK + "all")
        self.wait_for("finished", "told of", "told of to all")
        self.end(worker)
        for id in self.redis.lrange("rq:queue:webhook", 0, -1):
            data = self.redis.hget(b"rq:job:" + id, "data")
            of = "told of" if self.names["told of"].encode() in data else "told of to all"
            self.names[f"webhook, {of}"] = id.decode()
        (id,) = self.redis.lrange("rq:queue:log", 0, -1)
        self.names["enqueued by a job"] = id.decode()

    def kill_in_mid_job(self) -> None:
        """Kill a worker with `kill -9` while it runs jobs, among them some whose mail is out, and parks others."""
        worker = self.start_worker("default", "email", WORKER_LEASE_SECONDS="2")
        self.post("started", "gate", {"value": 8, "then": "hold"}, "?tag=spring")
        self.post("started, mail sent", "newsletter", {"to": "bob@example.com"})
        for number in (1, 2, 3):
            query = "?concurrency_key=customer-7&concurrency=1"
            self.post(f"limited {number}", "gate", {"value": number, "then": "hold"}, query)
        wait_until(lambda: self.services.read(self.names["started, mail sent"])["progress"]["done"] == 1)
        self.wait_at_gate("started", "limited 1")
        self.sink.hang = "taken"
        self.post("started, mail unknown", "email", MAIL | {"to": "eve@example.com"})
        wait_until(lambda: any("eve@example.com" in mail.recipients for mail in self.sink.mails))
        self.post_batch("slow", "slow", [{"number": number} for number in range(4)])
        self.wait_for("finished", "slow 1")
        assert self.redis.zcard("errand:rated:default:slow") == 3
        kill_all(worker.pid)
        self.sink.hang = ""
        wait_until(lambda: self.redis.zcount("errand:leases", "-inf", time.time() * 1000) == 4)

    def leave_waiting(self) -> None:
        """Store what waits, each in its way, with no worker to run it."""
        self.post("queued email", "email", MAIL)
        self.post("queued log", "log", {"text": "not yet"})
        self.post("queued item", "item", {"item_id": 9})
        self.post("queued webhook", "webhook", {"url": HOOK + "own", "type": "invoice.paid", "data": {"invoice": 7}})
        self.post("queued", "gate", {"value": 10}, "?tag=spring")
        self.post("queued, first", "gate", {"value": 11}, "?at_front=true")
        self.post("queued, to be told of", "gate", {"value": 12}, f"?webhook={HOOK}later")
        self.post("delayed", "gate", {"value": 13}, "?delay_seconds=3600")
        self.post("deferred", "gate", {"value": 14}, f"?after={self.names['queued']}&after={self.names['started']}")
        self.post("deferred, wait", "gate", {"value": 15}, f"?after={self.names['failed']}&on_failure=wait")
        run = f"?after={self.names['failed']}&after={self.names['to be tried again']}&on_failure=run"
        self.post("deferred, run", "gate", {"value": 16}, run)
        self.post("deferred, last", "log", {"text": "all done"}, f"?after={self.names['deferred']}")
        notified = self.ask("/send-notification/cal@example.com?message=Hello")["jobs"]
        self.names |= dict(zip(("notification, mail", "notification, log"), notified, strict=True))
        self.run_schedules()
        self.store_as_rq_does()

    def run_schedules(self) -> None:
        """Let the runs by hand of two schedules wait, one of a job file, whose queue is paused."""
        morning = {"type": "log", "payload": {"text": "Good morning"}, "cron": "0 7 * * *"}
        self.ask("/v1/schedules/morning", morning, "PUT")
        self.names["morning"] = self.ask("/v1/schedules/morning/run")["id"]
        self.ask("/v1/queues/digest/pause")
        self.names["digest"] = self.ask("/v1/schedules/jobs.digest/run")["id"]

    def store_as_rq_does(self) -> None:
        """Leave the two statuses that Errand itself never gives: RQ's own code passes through them."""
        first = RQJob.create(
            "jobs.gate.run.perform",
            kwargs={"value": 17},
            description="gate",
            origin="default",
            connection=self.redis,
            serializer="json",
        )
        first.save()
        self.names["created"] = first.id
        id = self.post("ready", "gate", {"value": 18}, f"?after={self.names['queued']}")
        ready = RQJob.fetch(id, connection=self.redis, serializer="json")
        with self.redis.pipeline() as pipeline:
            ReadyJobRegistry("default", connection=self.redis, serializer="json").register_jobs([ready], pipeline)
            pipeline.execute()
