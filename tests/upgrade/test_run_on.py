"""What the code of commit e6e9af9 has stored is run by the worker as far as it goes, what a dead one left with it."""

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.conftest import EmbeddedValkey, build_environment
from tests.support.receivers import SECRET, Receiver, list_valid
from tests.support.servers import find_fast_folder
from tests.support.sinks import ScriptedSink
from tests.support.site import Site
from tests.support.waiting import wait_until
from tests.upgrade.conftest import Before
from tests.upgrade.stored import restore, trim

pytestmark = pytest.mark.slow

FINISHED = {
    "started": 8,
    "limited 1": 1,
    "limited 2": 2,
    "limited 3": 3,
    "to be tried again": 2,
    "running 2": 2,
    "delayed": 13,
    "queued": 10,
    "queued, first": 11,
    "queued, to be told of": 12,
    "queued log": None,
    "queued item": None,
    "queued webhook": {"status": 204},
    "webhook, told of": {"status": 204},
    "webhook, told of to all": {"status": 204},
    "enqueued by a job": None,
    "morning": None,
    "slow 2": 1,
    "slow 3": 2,
    "slow 4": 3,
    "deferred": 14,
    "deferred, run": 16,
    "deferred, last": None,
    "notification, log": None,
    "ready": 18,
}
MAILED = ("queued email", "notification, mail", "started, mail sent")
PORT = b"127.0.0.1:9"  # of all addresses in the data
LEFT = ("digest", "deferred, wait", "created")  # its queue is paused; it waits for a requeue; RQ never queues it


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def own_sink() -> Iterator[ScriptedSink]:
    sink = ScriptedSink()
    sink.start()
    yield sink
    sink.stop()


def send_to(redis: Redis, receiver: Receiver) -> None:
    """Put the receiver's port for the one in the data, where nobody listens; a payload may be packed."""
    for key in redis.scan_iter("*", _type="hash"):
        fields: dict[Any, Any] = redis.hgetall(key)
        for name, value in fields.items():
            with suppress(zlib.error):
                value = zlib.decompress(value)
            if PORT in value:
                redis.hset(key, name, value.replace(PORT, f"127.0.0.1:{receiver.port}".encode()))


@pytest.fixture(scope="module")
def run_on(
    written: dict[str, Any],
    project: Path,
    receiver: Receiver,
    own_sink: ScriptedSink,
    tmp_path_factory: pytest.TempPathFactory,
    types: Any,
) -> Iterator[Before]:
    """All of it restored, due, and run by a worker as far as that goes."""
    folder, data = tmp_path_factory.mktemp("logs"), Path(tempfile.mkdtemp(prefix="errand-", dir=find_fast_folder()))
    server = EmbeddedValkey(data / "v")
    server.start()
    site = Site(project, build_environment(server.url, own_sink, folder), folder, types)
    try:
        restore(site.redis, written)
        send_to(site.redis, receiver)
        with site.client:
            yield run_to_ends(Before(site, written))
    finally:
        site.stop()
        server.stop()
        shutil.rmtree(data)


def run_to_ends(before: Before) -> Before:
    before.come_due("to be tried again", "running 2", "delayed")
    before.start_worker(MAIL_ON_UNKNOWN="fail")
    for name in set(before.written["jobs"]) - set(LEFT):
        before.site.wait_for(before[name], timeout_seconds=60)
    wait_until(lambda: not before.site.redis.exists("errand:leases", "rq:queue:webhook"))
    return before


@pytest.mark.parametrize("name", FINISHED)
def test_it_finishes_with_its_result(run_on: Before, name: str) -> None:
    found = run_on.read(name)
    assert (found["status"], found["result"], found["error"]) == ("finished", FINISHED[name], None)
    assert found["progress"]["percent"] == 100


@pytest.mark.parametrize("name", LEFT)
def test_what_still_waits_goes_on_waiting(run_on: Before, name: str) -> None:
    old = run_on.written["answers"][f"/v1/jobs/{run_on[name]}"]
    assert run_on.read(name)["status"] == old["status"]


@pytest.mark.parametrize("name", ["finished", "finished email", "failed", "stopped", "canceled", "told of", "slow 1"])
def test_what_had_ended_stays_as_it_was(run_on: Before, name: str) -> None:
    old = run_on.written["answers"][f"/v1/jobs/{run_on[name]}"]
    found = trim(run_on.read(name), run_on.written["fields"])
    assert found | {"dependents": None} == old | {"dependents": None}  # they have run


@pytest.mark.parametrize("name", ["started", "limited 1", "started, mail sent"])
def test_the_jobs_of_the_dead_worker_run_again_at_no_cost_of_a_try(run_on: Before, name: str) -> None:
    found, old = run_on.read(name), run_on.written["answers"][f"/v1/jobs/{run_on[name]}"]
    assert (found["attempts"], found["losses"], found["interruptions"]) == (2, 1, 0)
    assert found["retries_left"] == old["retries_left"]


@pytest.mark.parametrize("name", ["to be tried again", "running 2"])
def test_the_next_try_of_a_job_is_counted_as_its_second(run_on: Before, name: str) -> None:
    found = run_on.read(name)
    assert (found["attempts"], found["retries_left"]) == (2, 1)


def test_a_mail_that_was_sent_is_not_sent_again(run_on: Before, own_sink: ScriptedSink) -> None:
    found = run_on.read("started, mail sent")
    assert found["result"] == {"message_id": f"<{run_on['started, mail sent']}@example.com>", "refused": {}}
    assert sorted(mail.recipients for mail in own_sink.mails) == [["ada@example.com"], ["cal@example.com"]]


@pytest.mark.parametrize("name", MAILED)
def test_a_mail_job_finishes_with_its_message_id(run_on: Before, name: str) -> None:
    found = run_on.read(name)
    assert (found["status"], found["result"]["refused"]) == ("finished", {})
    assert found["result"]["message_id"] == f"<{run_on[name]}@example.com>"


def test_a_mail_of_which_nothing_is_known_is_left_to_a_person(run_on: Before) -> None:
    found = run_on.read("started, mail unknown")
    assert (found["status"], found["error"]["type"]) == ("failed", "UnknownDeliveryError")
    assert f"<{run_on['started, mail unknown']}@example.com>" in found["error"]["message"]


def test_the_waiting_webhooks_arrive_signed(run_on: Before, receiver: Receiver) -> None:
    assert all(list_valid(one, SECRET) for one in receiver.received)
    told = {(one.path, one.json["type"], one.json["data"].get("id")) for one in receiver.received}
    assert told == {
        ("/job", "job.finished", run_on["told of"]),
        ("/all", "job.finished", run_on["told of to all"]),
        ("/own", "invoice.paid", None),
        ("/later", "job.finished", run_on["queued, to be told of"]),
        ("/batch", "batch.ended", run_on["running"]),
    }


def test_a_batch_ends(run_on: Before) -> None:
    counts = [run_on.get(f"/v1/batches/{run_on[name]}") for name in ("running", "ended", "slow")]
    assert [(one["percent"], one["finished"], one["failed"]) for one in counts] == [
        (100, 2, 0),
        (100, 1, 1),
        (100, 4, 0),
    ]


def test_parked_jobs_start_at_their_rate(run_on: Before) -> None:
    starts = sorted(run_on.read(f"slow {number}")["started_at"] for number in (2, 3, 4))
    seconds = [float(start[14:16]) * 60 + float(start[17:-1]) for start in starts]
    assert all((later - earlier) % 3600 > 0.9 for earlier, later in pairwise(seconds))


def test_each_line_is_logged_once(run_on: Before) -> None:
    lines = sorted((run_on.site.ledger.path.parent / "log.txt").read_text().splitlines())
    texts = ["Finished processing item 7", "Finished processing item 9", "Good morning", "all done", "not yet"]
    assert lines == sorted([*texts, "Notification request received for cal@example.com"])


def test_nothing_is_left_of_what_ran(run_on: Before) -> None:
    redis = run_on.site.redis
    patterns = (
        "rq:wip:*",
        "rq:execution*",
        "rq:rl:*:*",
        "errand:leases",
        "errand:rated*",
        "rq:ready:*",
        "rq:scheduled:*",
    )
    assert [key for pattern in patterns for key in redis.keys(pattern)] == []
    assert redis.keys("rq:queue:*") == [b"rq:queue:digest"]
