"""Why a job has not started, or that it has."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.redis import keys
from errand.redis.clock import Clock
from errand.store.observe.verdicts import Verdict, Workers
from errand.store.observe.why import Why, WhyReader
from errand.store.status import JobError
from tests.store.test_verdicts import ERROR, FOUND, FREE, NOW, SINCE
from tests.support.job_types import TALLY


def read(found: dict[str, Any] | None = None, types: Any = None, clock: Any = None, **job: str) -> Why | None:
    fields = {"origin": "mail", "description": "tally"} | job
    answer = json.dumps(FOUND | {"clock": [str(int(NOW)), "500000"], "job": list(fields.items())} | (found or {}))
    script = AsyncMock(return_value=answer.encode())
    redis = Mock(register_script=Mock(return_value=script))
    why = asyncio.run(WhyReader(redis, types or {"tally": TALLY}, clock or Clock()).read("a"))
    assert script.call_args.kwargs["args"][0] == "a"
    assert script.call_args.kwargs["args"][2:4] == ["tally", (types or {"tally": TALLY})["tally"].queue.name]
    return why


def test_an_unknown_job_is_none() -> None:
    assert read() is None
    assert read({"job": None}) is None


def test_a_job_that_runs_says_where_and_since_when() -> None:
    verdict = Verdict("started", f"it runs on w since {SINCE}", blocks=False, since=SINCE, worker="w")
    why = read(status="started", started_at=SINCE, worker_name="w")
    assert why == Why("a", "tally", "mail", "started", verdict, [])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("finished", "it has finished"),
        ("failed", "it has failed"),
        ("stopped", "it was stopped"),
        ("canceled", "it was canceled"),
    ],
)
def test_a_job_that_has_ended_says_how_and_when(status: str, said: str) -> None:
    error = None if status == "finished" else JobError("ValueError", "no")
    verdict = Verdict("ended", f"{said} at {SINCE}", blocks=False, since=SINCE, error=error)
    why = read(status=status, ended_at=SINCE, errand_error=ERROR)
    assert why == Why("a", "tally", "mail", status, verdict, [])
    assert status in keys.ENDED
    unknown = read(status=status)
    assert unknown is not None
    assert unknown.verdict.reason == said


def test_a_job_that_waits_names_what_else_would_hold_it_up_then() -> None:
    why = read({"suspended": True, "paused": True}, status="queued", enqueued_at=SINCE)
    assert why is not None
    assert (why.verdict.word, why.then, why.workers) == ("rq_suspended", ["queue_paused"], Workers(**FREE))


def test_a_rate_says_when_by_the_seconds_between_two_starts() -> None:
    found = {"park": {"kind": "rated", "before": 3}}
    types = {
        "tally": SimpleNamespace(type="tally", queue=TALLY.queue, rate=SimpleNamespace(period_seconds=60.0, most=6)),
    }
    why = read(found, types, status="queued")
    assert why is not None
    assert why.verdict.until == "2030-01-01T00:01:00.500Z"
    for job in ({"description": "other"}, {"description": ""}):
        other = read(found, types, status="queued", **job)
        assert other is not None
        assert other.verdict.until is None


def test_the_time_that_the_script_returns_is_the_clocks() -> None:
    clock = Mock(wraps=Clock())
    read(clock=clock, status="queued")
    (call,) = clock.note_time.call_args_list
    assert [int(part) for part in call.args[0]] == [int(NOW), 500_000]
