"""What a script's answer says of queues and workers."""

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.redis.clock import Clock
from errand.store.queues import STUCK, Queues, QueueStatus, QueueWhy, UnknownQueueError, WaitingJobs
from errand.store.workers import LISTED, RunningJob, WorkerReader, WorkerStatus

NOW = 1893456000  # 2030-01-01
JOBS = {"queued": 2, "started": 0}
HELD = ["email", 2, "SMTP is down", "2030-01-01T00:00:00Z", "held"]


def answering(answer: Any) -> Mock:
    """A client whose script gives this answer."""
    return Mock(register_script=Mock(return_value=AsyncMock(return_value=json.dumps(answer).encode())))


def read_queue(suspended: bool = False, **said: Any) -> QueueStatus:
    fields = {
        "name": "mail",
        "paused": False,
        "oldest_at": "",
        "counts": JOBS,
        "waiting": [],
        "workers": 1,
        "overdue": 0,
        "retrying": 0,
        "error": "",
    } | said
    redis = answering([["log", "mail"], [list(fields.values())], [str(NOW), "7"], suspended])
    return asyncio.run(Queues(redis, []).read("mail"))


def test_each_field_of_a_queue_is_shown() -> None:
    counts = {"queued": 2, "started": 1, "failed": -1}
    found = read_queue(paused=True, oldest_at="o", counts=counts, waiting=[HELD], workers=3, retrying=4, error="E")
    assert found == QueueStatus(
        name="mail",
        paused=True,
        oldest_at="o",
        jobs={"queued": 2, "started": 1, "failed": 0},
        waiting=[WaitingJobs("email", 2, "SMTP is down", "2030-01-01T00:00:00Z")],
        why=QueueWhy("queue_paused", "it is paused; `errand queues resume mail` ends that", 2),
        retrying=4,
        newest_error="E",
        workers=3,
    )


def test_what_is_not_said_of_a_queue_is_empty() -> None:
    assert read_queue(waiting={}) == QueueStatus("mail", False, None, JOBS, [], None, 0, None, 1)


@pytest.mark.parametrize(
    ("said", "verdict", "jobs"),
    [
        ({}, None, 0),
        ({"suspended": True, "paused": True, "workers": 0}, "rq_suspended", 2),
        ({"paused": True, "workers": 0}, "queue_paused", 2),
        ({"workers": 0, "waiting": [HELD]}, "no_worker", 2),
        ({"workers": 0, "overdue": 3}, "no_worker", 5),
        ({"waiting": [HELD]}, "type_held", 2),
        ({"waiting": [HELD], "overdue": 1}, None, 0),
        ({"waiting": [[*HELD[:4], "unknown"]]}, "type_unknown", 2),
        ({"waiting": [[*HELD[:4], "refused"]]}, "payload_refused", 2),
        ({"waiting": [[*HELD[:4], "slot"]]}, None, 0),
        ({"suspended": True, "paused": True, "workers": 0, "counts": {"queued": 0, "started": 5}}, None, 0),
        ({"workers": 0, "overdue": 1, "counts": {"queued": -1, "started": 5}}, "no_worker", 1),
    ],
)
def test_a_queue_says_why_nothing_of_it_is_taken(said: dict[str, Any], verdict: str | None, jobs: int) -> None:
    why = read_queue(**said).why
    assert (why and why.verdict, why.jobs if why else 0) == (verdict, jobs)


def test_a_queue_says_what_ends_that() -> None:
    reasons = [read_queue(**{name: True}).why for name in ("suspended", "paused")]
    assert [why and why.reason for why in (*reasons, read_queue(workers=0).why)] == [
        "RQ is suspended, so no worker takes jobs; `rq resume` ends that",
        "it is paused; `errand queues resume mail` ends that",
        "no worker serves it",
    ]


def test_of_several_reasons_a_queue_gives_that_of_the_most_jobs() -> None:
    waiting = [["b", 1, "x", "", "unknown"], ["a", 2, "y", "", "held"], ["c", 9, "z", "", "slot"]]
    found = read_queue(waiting=waiting, counts={"queued": 3, "started": 0})
    assert found.why == QueueWhy(STUCK["held"], "a: y", 3)
    assert found.waiting == [WaitingJobs("a", 2, "y"), WaitingJobs("b", 1, "x"), WaitingJobs("c", 9, "z")]


@pytest.mark.parametrize(
    ("paused", "started", "state"),
    [(False, 1, "active"), (False, 0, "active"), (True, 1, "draining"), (True, 0, "drained")],
)
def test_a_paused_queue_is_drained_once_nothing_of_it_runs(paused: bool, started: int, state: str) -> None:
    assert read_queue(paused=paused, counts={"queued": 0, "started": started}).state == state


def test_an_unknown_queue_names_those_that_there_are() -> None:
    redis = answering([["log", "mail"], [], [str(NOW), "0"], False])
    for name in ("", "other"):
        with pytest.raises(UnknownQueueError, match="log, mail") as raised:
            asyncio.run(Queues(redis, []).read(name))
        assert raised.value.names == ["log", "mail"]


def test_an_unknown_queue_is_neither_paused_nor_resumed() -> None:
    redis = answering([["mail"], [], [str(NOW), "0"], False])
    redis.sadd, redis.srem, redis.publish = (AsyncMock() for _ in range(3))
    queues = Queues(redis, [])
    for ask in (queues.pause("other"), queues.resume("other")):
        with pytest.raises(UnknownQueueError):
            asyncio.run(ask)
    assert not redis.sadd.called
    assert not redis.srem.called


def test_a_queue_is_checked_without_a_question_where_it_is_a_job_types() -> None:
    redis = Mock(smembers=AsyncMock(return_value={b"rq:queue:\xff", "rq:queue:own"}))
    queues = Queues(redis, ["mail", "log"])
    asyncio.run(queues.check("log"))
    assert redis.smembers.call_count == 0
    asyncio.run(queues.check("own"))
    for name in ("", "other"):
        with pytest.raises(UnknownQueueError) as raised:
            asyncio.run(queues.check(name))
        assert raised.value.names == ["log", "mail", "own", "\ufffd"]


def test_the_time_that_a_script_returns_is_the_clocks() -> None:
    for read, answer in (
        (lambda redis, clock: Queues(redis, [], clock).read_all(), [[], [], [str(NOW), "7"], False]),
        (lambda redis, clock: WorkerReader(redis, clock).read_all(), [[], [str(NOW), "7"]]),
    ):
        clock = Mock(wraps=Clock())
        asyncio.run(read(answering(answer), clock))
        (call,) = clock.note_time.call_args_list
        assert [int(part) for part in call.args[0]] == [NOW, 7]


def read_workers(*found: list[Any]) -> list[WorkerStatus]:
    redis = answering([found, [str(NOW), "0"]])
    workers = asyncio.run(WorkerReader(redis).read_all())
    redis.register_script.return_value.assert_called_once_with(args=[LISTED])
    return workers


def test_each_field_of_a_worker_is_shown() -> None:
    record = {
        "state": "busy",
        "queues": "mail,log,",
        "hostname": "h",
        "pid": "12",
        "birth": "b",
        "last_heartbeat": "2020-01-01T00:00:00.000000Z",
        "successful_job_count": "5",
        "failed_job_count": "2",
        "total_working_time": "1.23456",
        "threads": "4",
        "ours": "1",
    }
    jobs = [["j2", "log", str(NOW)], ["j1", "mail", str(NOW)], ["j3", "mail", ""], ["j4", "mail", "a"]]
    assert read_workers(["w", record, 7, jobs]) == [
        WorkerStatus(
            name="w",
            state="busy",
            queues=["mail", "log"],
            hostname="h",
            pid=12,
            started_at="b",
            heartbeat_at="2020-01-01T00:00:00.000000Z",
            running=7,
            jobs=[
                RunningJob("j3", "mail", None),
                RunningJob("j1", "mail", "2030-01-01T00:00:00.000000Z"),
                RunningJob("j2", "log", "2030-01-01T00:00:00.000000Z"),
                RunningJob("j4", "mail", "a"),
            ],
            finished=5,
            failed=2,
            working_seconds=1.235,
            threads=4,
            silent=True,
        )
    ]


def test_what_is_not_said_of_a_worker_is_empty_and_workers_come_by_name() -> None:
    record = {"last_heartbeat": "2020-01-01T00:00:00.000000Z"}
    empty = WorkerStatus("a", "?", [], None, None, None, record["last_heartbeat"], 0, [], 0, 0, 0.0)
    found = read_workers(["b", record | {"total_working_time": "x", "pid": "-"}, 0, {}], ["a", record, 0, {}])
    assert [found[0], found[1].name, found[1].working_seconds] == [empty, "b", 0.0]


def test_one_of_ours_that_was_heard_lately_is_not_silent() -> None:
    (worker,) = read_workers(["a", {"last_heartbeat": "2030-01-01T00:00:00.000000Z", "ours": "1"}, 0, {}])
    assert worker.silent is False
