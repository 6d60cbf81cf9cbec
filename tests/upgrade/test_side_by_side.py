"""APIs and workers of this version and of the one before serve together: each job ends as promised, once, seen by both.

Workers of the version before run the type `left`, and the new ones `right`, unless a test says otherwise.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.conftest import EmbeddedValkey, build_environment
from tests.faults.test_rolling_deploy import Load, stop_worker
from tests.support.processes import kill_all
from tests.support.sinks import ScriptedSink
from tests.support.waiting import wait_until
from tests.upgrade.releases import BEFORE, MAIL, OLDEST, Pair, Release, build_pair

OLD = ("left", "email", "webhook")
NEW = ("right", "log", "default")
ENDS = {"permanent": ("failed", (1, 0)), "fail once": ("finished", (2, 1))}


@pytest.fixture(params=[BEFORE, pytest.param(OLDEST, marks=pytest.mark.slow)])
def pair(
    request: pytest.FixtureRequest, valkey: EmbeddedValkey, redis: Redis, sink: ScriptedSink, tmp_path: Path
) -> Iterator[Pair]:
    """This version and one before it, with the APIs of both started."""
    pair = build_pair(request.param, build_environment(valkey.url, sink, tmp_path), redis, sink, tmp_path)
    pair.start_apis()
    yield pair
    pair.stop()


def post_each_kind(pair: Pair, api: Release, type: str, other: str) -> dict[str, tuple[str, tuple[int, int]]]:
    """Post jobs through one API; return how each is to end, and how often it is to start and to reach its end."""
    ok, canceled = ("finished", (1, 1)), ("canceled", (0, 0))
    plain, failed = pair.post(api, type), pair.post(api, type, then="permanent")
    posted = {plain: ok, failed: ENDS["permanent"]}
    posted[pair.post(api, type, then="fail once")] = ENDS["fail once"]
    posted[pair.post(api, type, "?delay_seconds=1&tag=spring")] = ok
    child = pair.post(api, other, f"?after={plain}")
    posted |= {child: ok, pair.post(api, type, f"?after={child}"): ok}
    posted[pair.post(api, other, f"?after={failed}")] = canceled
    posted[pair.post(api, other, f"?after={failed}&on_failure=run")] = ok
    for _ in range(3):
        posted[pair.post(api, type, "?concurrency_key=customer-7&concurrency=1")] = ok
    posted[pair.post(api, type, f"?webhook=http://127.0.0.1:{pair.receiver.port}/")] = ok
    return posted | dict.fromkeys(post_batch(pair, api, type), ok)


def post_batch(pair: Pair, api: Release, type: str, then: str = "") -> list[str]:
    named = {"ledger": str(pair.ledger), "then": then}
    items = [named | {"name": f"{type}-batch-{api.code.name}-{number}"} for number in range(3)]
    answer = api.call("POST", f"/v1/batches/{type}", {"items": items})
    assert answer.status == 202, answer
    ids = [job["id"] for job in answer.body["jobs"]]
    pair.posted |= dict(zip(ids, (item["name"] for item in items), strict=True))
    return ids


@pytest.mark.thorough
def test_jobs_of_either_api_end_as_promised_by_workers_of_either_version(pair: Pair) -> None:
    expected: dict[str, Any] = {}
    built_in: list[str] = []
    mailed: list[str] = []
    pair.start_worker(pair.old, *OLD)
    pair.start_worker(pair.new, *NEW)
    for api in (pair.old, pair.new):
        expected |= post_each_kind(pair, api, "left", "right") | post_each_kind(pair, api, "right", "left")
        mailed.append(f"{api.code.name}@example.com")
        built_in += [api.post("email", MAIL | {"to": mailed[-1]}), api.post("log", {"text": api.code.name})]
        built_in += [api.post("item", {"item_id": 7})]  # which enqueues a line
        mailed.append(f"cal-{api.code.name}@example.com")
        built_in += api.call("POST", f"/send-notification/{mailed[-1]}?message=Hello").body["jobs"]
    for id, (status, counts) in expected.items():
        pair.new.wait_for(id, "finished", "failed", "canceled")
        found = pair.read_alike(id)
        assert (found["status"], pair.count(id), found["attempts"]) == (status, counts, counts[0]), found
        ran_by = pair.old if found["type"] == "left" else pair.new
        assert pair.name_code(id) == ({ran_by} if counts[0] else set())
    assert {pair.new.wait_for(id)["status"] for id in built_in} == {"finished"}
    for id in built_in:
        pair.read_alike(id)
    pair.assert_nothing_is_left()
    assert sorted(mail.recipients[0] for mail in pair.sink.mails) == sorted(mailed)
    received = [one.json["data"]["id"] for one in pair.receiver.received]
    assert len(set(received)) == len(received) == 4
    assert set(received) <= set(expected)
    assert len((pair.ledger.parent / "log.txt").read_text().splitlines()) == 6


@pytest.mark.slow
@pytest.mark.parametrize("dies", ["old", "new"])
def test_the_jobs_of_a_killed_worker_run_again_under_one_of_the_other_version(pair: Pair, dies: str) -> None:
    dead, heir = (pair.old, pair.new) if dies == "old" else (pair.new, pair.old)
    worker = pair.start_worker(dead, "left", "email", WORKER_LEASE_SECONDS="2")
    held = [pair.post(api, "left", then="hold") for api in (pair.old, pair.new)]
    letter = {"ledger": str(pair.ledger), "to": "ada@example.com"}
    letters = [api.post("letter", letter) for api in (pair.old, pair.new)]
    for id in held:
        pair.wait_for_start(id)
    wait_until(lambda: all(pair.redis.hexists(f"errand:mail:{id}", "sent") for id in letters))
    pair.sink.hang = "taken"
    unknown = pair.new.post("email", MAIL | {"to": "eve@example.com"})
    wait_until(lambda: len(pair.sink.mails) == 3)
    kill_all(worker.pid)
    pair.sink.hang = ""
    waiting = [pair.post(api, "left", then="hold") for api in (pair.old, pair.new)]
    pair.open_gate()
    pair.start_worker(heir, "left", "email", WORKER_LEASE_SECONDS="2", MAIL_ON_UNKNOWN="fail")
    for id in (*held, *letters, *waiting, unknown):
        pair.new.wait_for(id, timeout_seconds=60)
    for id in (*held, *letters):
        found = pair.read_alike(id)
        assert (found["status"], found["attempts"], found["losses"]) == ("finished", 2, 1)
    assert [pair.count(id) for id in (*held, *waiting)] == [(2, 1)] * 2 + [(1, 1)] * 2
    found = pair.read_alike(unknown)
    assert (found["status"], found["error"]["type"]) == ("failed", "UnknownDeliveryError")
    assert len(pair.sink.mails) == 3
    pair.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("is_api_first", [True, False], ids=["the API first", "the workers first"])
def test_a_rolling_deploy_and_its_rollback_lose_no_job_and_run_none_twice(pair: Pair, is_api_first: bool) -> None:
    workers, late = [pair.start_worker(pair.old, "left", "right") for _ in range(2)], []
    with Load(pair.old) as load:
        load.wait_for_more()
        for release in (pair.new, pair.old):
            for nth in range(2):
                if nth == (0 if is_api_first else 1):
                    load.release = release
                    load.wait_for_more()
                started = pair.start_worker(release, "left", "right")
                stop_worker(workers.pop(0))
                workers.append(started)
                load.wait_for_more()
            late.append(pair.post(release, "left", "?delay_seconds=3600"))
    assert pair.redis.zadd("rq:scheduled:left", dict.fromkeys(late, 1), xx=True, ch=True) == 2  # they are due now
    found = [pair.new.wait_for(id) for id in (*load.posted, *late)]
    assert {(job["status"], job["attempts"], job["losses"]) for job in found} == {("finished", 1, 0)}
    assert [pair.name_code(pair.read_alike(id)["id"]) for id in late] == [{pair.old}] * 2
    ran = [name for word, name, _ in pair.read_ledger() if word == "end"]
    assert len(set(ran)) == len(ran) == len(found)


@pytest.mark.slow
def test_a_schedule_of_either_api_gives_each_slot_one_job_while_workers_of_both_look_after_it(pair: Pair) -> None:
    for release in (pair.old, pair.new):
        pair.start_worker(release, "left", "right")
    for api, type in ((pair.old, "left"), (pair.new, "right")):
        payload = {"ledger": str(pair.ledger), "name": f"tick-of-{type}"}
        body = {"type": type, "payload": payload, "every_seconds": 1, "catch_up": "all"}
        assert api.call("PUT", f"/v1/schedules/{type}", body).status == 201

    for name in ("left", "right"):
        wait_until(lambda name=name: len(list_runs(pair.new, name)) >= 5)
        assert pair.old.call("POST", f"/v1/schedules/{name}/pause").status == 200
        wait_until(lambda name=name: {run["status"] for run in list_runs(pair.old, name)} == {"finished"})
        runs = list_runs(pair.new, name)
        assert runs == list_runs(pair.old, name)
        slots = sorted(datetime.fromisoformat(run["slot"]) for run in runs)
        assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(seconds=1)}
        assert [one for word, one, _ in pair.read_ledger() if word == "end"].count(f"tick-of-{name}") == len(runs)


def list_runs(api: Release, schedule: str) -> list[dict[str, str]]:
    return list(api.call("GET", f"/v1/schedules/{schedule}").body["runs"])


@pytest.mark.slow
@pytest.mark.parametrize("stored_by", ["old", "new"])
@pytest.mark.parametrize("type", ["left", "right"])
def test_what_one_version_has_stored_is_changed_through_the_api_of_the_other(
    pair: Pair, stored_by: str, type: str
) -> None:
    api, other = (pair.old, pair.new) if stored_by == "old" else (pair.new, pair.old)
    pair.start_worker(pair.old if type == "left" else pair.new, type)
    runs, failed = pair.post(api, type, then="hold"), pair.post(api, type, then="permanent")
    delayed = pair.post(api, type, "?delay_seconds=3600")
    pair.wait_for_start(runs)
    api.wait_for(failed, "failed")
    assert other.call("POST", f"/v1/jobs/{runs}/cancel").status in (200, 202)
    assert other.wait_for(runs)["status"] == "stopped"
    assert other.call("POST", f"/v1/jobs/{failed}/requeue").status == 202
    wait_until(lambda: pair.count(failed)[0] == 2)
    assert other.wait_for(failed, "failed")["attempts"] == 2
    assert other.call("POST", f"/v1/jobs/{delayed}/cancel").body["status"] == "canceled"
    for id in (runs, failed, delayed):
        pair.read_alike(id)
        assert other.call("DELETE", f"/v1/jobs/{id}").status == 204
        assert api.call("GET", f"/v1/jobs/{id}").status == 404
    assert other.call("POST", f"/v1/queues/{type}/pause").status == 200
    waits = pair.post(api, type)
    assert api.call("GET", f"/v1/queues/{type}").body["paused"] is True
    assert other.call("POST", f"/v1/queues/{type}/resume").status == 200
    assert api.wait_for(waits)["status"] == "finished"
    pair.assert_nothing_is_left()


@pytest.mark.slow
@pytest.mark.parametrize("stored_by", ["old", "new"])
def test_a_request_that_is_sent_again_to_the_other_api_is_answered_with_the_first_job(
    pair: Pair, stored_by: str
) -> None:
    api, other = (pair.old, pair.new) if stored_by == "old" else (pair.new, pair.old)
    payload, key = {"ledger": str(pair.ledger), "name": "keyed"}, {"Idempotency-Key": "order-7"}
    first = api.call("POST", "/v1/jobs/left", payload, key)
    again = other.call("POST", "/v1/jobs/left", payload, key)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.body["id"] == first.body["id"]
    assert pair.redis.llen("rq:queue:left") == 1


@pytest.mark.slow
def test_a_worker_of_the_version_before_keeps_what_only_the_new_api_asks_for(pair: Pair) -> None:
    pair.start_worker(pair.old, "left")
    unique = "?unique_key=report-7"
    slow = pair.post(pair.new, "left", "?timeout_seconds=1&tries=1&unique_key=report-7", then="hold")
    again = pair.new.call("POST", f"/v1/jobs/left{unique}", {"ledger": str(pair.ledger), "name": "again"})
    assert (again.body["id"], again.headers["Errand-Unique"]) == (slow, "existing")
    found = pair.new.wait_for(slow)
    assert (found["status"], found["attempts"], found["error"]["type"]) == ("failed", 1, "JobTimeoutException")
    tried = pair.post(pair.new, "left", "?tries=2", then="fail")
    assert pair.new.wait_for(tried)["attempts"] == 2
    post_batch(pair, pair.new, "left", then="hold")
    batch = pair.new.read(list(pair.posted)[-1])["links"]["batch"].rpartition("/")[2]
    after_all = pair.post(pair.new, "left", f"?after={batch}")
    assert pair.new.read(after_all)["status"] == "deferred"
    pair.open_gate()
    assert pair.new.wait_for(after_all)["status"] == "finished"
    ended = [name for word, name, _ in pair.read_ledger() if word == "end"]
    assert ended[-1] == pair.posted[after_all]
    assert len(ended) == 4
    next_one = pair.post(pair.new, "left", unique)
    assert next_one != slow
    assert pair.new.wait_for(next_one)["status"] == "finished"
