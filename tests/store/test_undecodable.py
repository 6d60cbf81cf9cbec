"""Names and texts in Redis that are no UTF-8: what others wrote hides nothing of what is shown."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from errand.redis.clock import Clock
from errand.store.batch_jobs import BatchJobReader, filter_batch
from errand.store.cancel import Canceller, CancelRefusedError
from errand.store.dead_letters import DeadLetters, DeadLetterStep
from errand.store.delete import Deleter, DeleteRefusedError
from errand.store.index import Filter, JobIndex
from errand.store.observe.attempts import AttemptReader
from errand.store.observe.failures import FailureReader
from errand.store.observe.health import HealthReader
from errand.store.observe.logs import LogReader
from errand.store.observe.why import WhyReader
from errand.store.queues import Queues
from errand.store.requeue import Requeuer, RequeueRefusedError
from errand.store.schedules.schedules import Schedules
from errand.store.settings import LifetimeSettings
from errand.store.workers import WorkerReader

ID = "5f0c7d1e-0000-4000-8000-000000000000"
BAD, SHOWN = b"a\xff", "a\ufffd"
CLOCK = ["1893456000", "0"]
QUEUE = [SHOWN, False, "", {"queued": 0, "started": 0}, [], 1, 0, 0, ""]


def answering(answer: Any) -> Any:
    """A client whose scripts give this answer, in JSON with a byte that is no text where it is JSON."""
    if not isinstance(answer, bytes | list) or (isinstance(answer, list) and not _has_bytes(answer)):
        answer = json.dumps(answer, ensure_ascii=False).encode().replace(SHOWN.encode(), BAD)
    return Mock(register_script=Mock(return_value=AsyncMock(return_value=answer)))


def _has_bytes(parts: list[Any]) -> bool:
    return any(isinstance(part, bytes) or (isinstance(part, list) and _has_bytes(part)) for part in parts)


async def read_queues() -> Any:
    return (await Queues(answering([[SHOWN], [QUEUE], CLOCK, False]), []).read_all())[0].name


async def read_workers() -> Any:
    found = [[SHOWN, {"last_heartbeat": "t"}, 0, []]]
    return (await WorkerReader(answering([found, CLOCK])).read_all())[0].name


async def read_why() -> Any:
    job = [["status", "started"], ["description", SHOWN]]
    why = await WhyReader(answering({"clock": CLOCK, "job": job}), {}, Clock()).read(ID)
    return why and why.type


async def read_attempts() -> Any:
    kept = ["1", json.dumps({"worker": SHOWN}, ensure_ascii=False)]
    attempts = await AttemptReader(answering([{"status": "queued"}, kept, {}, None])).read(ID)
    return attempts and attempts[0].worker


async def read_failures() -> Any:
    group = dict.fromkeys(("fingerprint", "type", "error", "frame", "first", "last", "example"), "")
    redis = answering([[group | {"message": SHOWN, "failed": 1, "retrying": 0}], []])
    return (await FailureReader(redis).read_batch(ID)).groups[0].message


async def read_failed_queues() -> Any:
    listing, counting = (Mock(execute=AsyncMock(return_value=found)) for found in ([[b"rq:queue:" + BAD], []], [0, 0]))
    await FailureReader(Mock(pipeline=Mock(side_effect=[listing, counting]))).read()
    return counting.zcard.call_args_list[0].args[0].rpartition(":")[2]


async def read_health() -> Any:
    queue = {"served": False, "waiting": 0, "oldest_at": ""}
    found = {"clock": CLOCK, "live": 0, "queues": [[SHOWN, queue]], "types": [], "held": [], "next_occurrence": None}
    script, look = answering(found).register_script(), AsyncMock(return_value=[])
    redis = Mock(register_script=Mock(side_effect=[script, look]))
    return (await HealthReader(redis, {}, Clock()).read()).queues_without[0]


async def read_lines() -> Any:
    reader = LogReader(Mock())
    line = {"n": 1, "t": 1, "level": "info", "attempt": 1, "logger": "l", "text": SHOWN}
    stored = json.dumps(line, ensure_ascii=False).encode().replace(SHOWN.encode(), BAD)
    reader._script = Mock(call=AsyncMock(return_value=[1, 1, [stored]]))
    page = await reader.read(ID)
    return page and page.items[0].text


async def read_page() -> Any:
    redis = answering([b"1", BAD, b"1", BAD, b'[{"status": "queued"}, null, null, []]'])
    page = await JobIndex(redis, []).read(Filter(), 1)
    assert page.next == ("1", SHOWN)
    return page.jobs[0].id


async def read_batch_jobs() -> Any:
    page = await BatchJobReader(answering([BAD, b"1", BAD, BAD, b"deleted", b""])).read(filter_batch(ID, None), 1)
    assert page is not None
    assert (page.next, page.jobs[0].id) == (("1", SHOWN), SHOWN)
    return page.type


async def list_schedules() -> Any:
    definition = b'{"type": "log", "every_seconds": 60}'
    redis: Any = answering([BAD, b"inf", definition, b"http", b"", b"c", b"u", b"", b""])
    redis.zrange = AsyncMock(return_value=[BAD])
    return (await Schedules(redis, Mock(), Mock(), {}).list())[0].schedule.name


async def take_dead_letters() -> Any:
    index = AsyncMock()
    index.select.return_value = ([ID], None)
    deleter = Mock(delete_all=AsyncMock(return_value=[BAD]))
    letters: Any = DeadLetters(index, Mock(), deleter, Clock(), Mock())
    steps: list[DeadLetterStep] = [step async for step in letters.apply("delete", Filter("failed"))]
    return steps[0].left[0][1]


READS = [
    read_queues,
    read_workers,
    read_why,
    read_attempts,
    read_failures,
    read_failed_queues,
    read_health,
    read_lines,
    read_page,
    read_batch_jobs,
    list_schedules,
    take_dead_letters,
]


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
def test_what_is_no_text_is_shown_as_far_as_it_is(read: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> Any:
        return await read()

    assert asyncio.run(main()) == SHOWN


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: Deleter(answering([0, BAD]), LifetimeSettings()).delete(ID), DeleteRefusedError),
        (lambda: Canceller(answering([0, b" " + BAD]), LifetimeSettings()).cancel(ID, "t"), CancelRefusedError),
        (lambda: Requeuer(answering([BAD]), AsyncMock()).requeue(ID), RequeueRefusedError),
    ],
)
def test_a_refusal_that_is_no_text_is_a_refusal(ask: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=SHOWN):
        asyncio.run(ask())
