"""`after` and `on_failure`: jobs that wait for others, with real workers."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from starlette.testclient import TestClient

from errand.worker.records import Records
from tests.support.services import Services
from tests.worker.scripts import build_records, send_report, take

WORDS = ("cancel", "run", "wait")


def post(client: TestClient, *parents: str, on_failure: str = "cancel", type: str = "tally") -> str:
    query = "&".join([f"on_failure={on_failure}", *(f"after={parent}" for parent in parents)])
    answer = client.post(f"/v1/jobs/{type}?{query}", json={"number": 1})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def read_status(client: TestClient, id: str) -> str:
    return str(client.get(f"/v1/jobs/{id}").json()["status"])


@pytest.fixture
def records(redis: Redis) -> Records:
    return build_records(redis)


def run_one(records: Records, id: str, kind: str) -> None:
    """Let the queued job of this id end in this way; the others of its queue stay."""
    (execution,) = [execution for execution in take(records, 20) if execution.job_id == id] or [None]
    assert execution, f"{id} was not queued"
    send_report(records, kind, execution)
    records.leases.release("interrupted")


def test_a_chain_runs_in_its_order(services: Services) -> None:
    services.start_api()
    first = services.post("sleep", {"seconds": 0.5})
    second = services.post("echo", {"value": 2}, f"?after={first}")
    third = services.post("echo", {"value": 3}, f"?after={second}")
    services.start_worker()
    jobs = [services.read(id) for id in (first, second) if services.wait_for(third)]
    assert jobs[0]["ended_at"] <= jobs[1]["started_at"]
    assert services.read(third)["depends_on"] == [second]
    assert jobs[0]["dependents"] == [{"id": second, "status": "finished"}]


def test_one_that_waits_for_several_runs_after_all_of_them(services: Services) -> None:
    services.start_api()
    parents = [services.post("sleep", {"seconds": seconds}) for seconds in (0.1, 0.5, 1)]
    child = services.post("echo", query="?" + "&".join(f"after={id}" for id in parents))
    services.start_worker()
    job = services.wait_for(child)
    assert job["status"] == "finished"
    assert all(services.read(id)["ended_at"] <= job["started_at"] for id in parents)


@pytest.mark.quick
def test_a_failure_lets_each_dependent_go_as_it_was_asked(services: Services, tmp_path: Path) -> None:
    services.start_api()
    failed = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True, "succeed_at": 2})
    children = {word: services.post("echo", query=f"?after={failed}&on_failure={word}") for word in WORDS}
    below = services.post("echo", query=f"?after={children['wait']}")
    services.start_worker()
    assert services.wait_for(children["run"])["status"] == "finished"
    assert services.read(failed)["status"] == "failed"
    canceled = services.read(children["cancel"])
    assert (canceled["status"], failed in canceled["error"]["message"]) == ("canceled", True)
    assert [services.read(id)["status"] for id in (children["wait"], below)] == ["deferred", "deferred"]
    assert services.call("POST", f"/v1/jobs/{failed}/requeue").status == 202
    assert services.wait_for(below)["status"] == "finished"
    assert services.read(children["wait"])["status"] == "finished"
    assert services.read(children["cancel"])["status"] == "canceled"


def test_the_dependents_of_a_plain_workers_failure_do_not_wait_for_ever(services: Services, tmp_path: Path) -> None:
    services.start_api()
    plain = services.start_plain_worker()
    failed = services.post("fail", {"ledger": str(tmp_path / "ledger"), "permanent": True})
    canceled = services.post("echo", query=f"?after={failed}")
    below = services.post("echo", query=f"?after={canceled}")
    run = services.post("echo", query=f"?after={failed}&on_failure=run")
    assert services.wait_for(run)["status"] == "finished"
    assert services.read(canceled)["status"] == "deferred"  # RQ leaves it
    plain.terminate()
    services.start_worker()
    assert services.wait_for(canceled)["status"] == "canceled"
    assert services.read(below)["status"] == "canceled"


@pytest.mark.parametrize("order", [("failed", "finished"), ("finished", "failed"), ("stopped", "failed")])
def test_one_that_runs_in_any_case_waits_for_all_its_parents(
    client: TestClient, records: Records, order: tuple[str, str]
) -> None:
    parents = [post(client), post(client)]
    child = post(client, *parents, on_failure="run")
    permanent = {"failed": "permanent"}
    run_one(records, parents[0], permanent.get(order[0], order[0]))
    assert read_status(client, child) == "deferred"
    run_one(records, parents[1], permanent.get(order[1], order[1]))
    assert read_status(client, child) == "queued"


def test_a_canceled_parent_counts_as_ended_for_one_that_runs_in_any_case(client: TestClient, records: Records) -> None:
    parents = [post(client), post(client)]
    child = post(client, *parents, on_failure="run")
    client.post(f"/v1/jobs/{parents[0]}/cancel")
    assert read_status(client, child) == "deferred"
    run_one(records, parents[1], "permanent")
    assert read_status(client, child) == "queued"


def test_one_that_waits_runs_when_all_its_failed_parents_have_finished(client: TestClient, records: Records) -> None:
    parents = [post(client), post(client)]
    child = post(client, *parents, on_failure="wait")
    for kind in ("permanent", "finished"):
        for parent in parents:
            assert read_status(client, child) == "deferred"
            run_one(records, parent, kind)
            client.post(f"/v1/jobs/{parent}/requeue")
    assert read_status(client, child) == "queued"


def test_a_job_whose_requeue_another_waits_for_does_not_expire(
    client: TestClient, redis: Redis, records: Records
) -> None:
    failed = post(client)
    child = post(client, failed, on_failure="wait")
    run_one(records, failed, "permanent")
    keys = [f"rq:job:{failed}", f"rq:job:{failed}:dependents", f"rq:results:{failed}", f"errand:dependents:{failed}"]
    assert [redis.ttl(key) for key in keys] == [-1] * 4
    assert redis.zscore("rq:failed:default", failed) == -1  # RQ's «for ever»
    client.post(f"/v1/jobs/{child}/cancel")
    assert all(redis.ttl(key) > 0 for key in keys if redis.exists(key))
    assert redis.zscore("rq:failed:default", failed) > 0


def test_a_failed_job_is_kept_for_one_that_is_posted_later(client: TestClient, redis: Redis, records: Records) -> None:
    failed = post(client)
    run_one(records, failed, "permanent")
    assert redis.ttl(f"rq:job:{failed}") > 0
    post(client, failed, on_failure="wait")
    assert redis.ttl(f"rq:job:{failed}") == redis.ttl(f"rq:results:{failed}") == -1


def test_a_job_that_is_kept_keeps_what_it_waited_for_itself(client: TestClient, redis: Redis, records: Records) -> None:
    first = post(client)
    failed = post(client, first)
    run_one(records, first, "finished")
    run_one(records, failed, "permanent")
    assert redis.ttl(f"rq:job::{failed}:dependencies") > 0
    post(client, failed, on_failure="wait")
    assert redis.ttl(f"rq:job::{failed}:dependencies") == -1


def test_a_canceled_job_is_kept_for_the_one_that_waits(client: TestClient, redis: Redis) -> None:
    first = post(client)
    middle = post(client, first)
    last = post(client, middle, on_failure="wait")
    client.post(f"/v1/jobs/{first}/cancel")
    assert [read_status(client, id) for id in (middle, last)] == ["canceled", "deferred"]
    assert redis.ttl(f"rq:job:{first}") > 0
    assert redis.ttl(f"rq:job:{middle}") == -1


@pytest.mark.parametrize(("word", "status"), [("cancel", "canceled"), ("run", "queued"), ("wait", "deferred")])
def test_a_parent_that_has_failed_already_is_judged_at_once(
    client: TestClient, records: Records, word: str, status: str
) -> None:
    failed = post(client)
    run_one(records, failed, "permanent")
    child = client.get(f"/v1/jobs/{post(client, failed, on_failure=word)}").json()
    assert (child["status"], bool(child["error"])) == (status, word == "cancel")


def test_a_result_that_is_not_kept_lets_its_dependents_run(client: TestClient, redis: Redis, records: Records) -> None:
    first, other = post(client), post(client)
    children = [post(client, first), post(client, first, other)]
    redis.hset(f"rq:job:{first}", "result_ttl", 0)
    run_one(records, first, "finished")
    assert client.get(f"/v1/jobs/{first}").status_code == 404
    assert redis.keys(f"*{first}*") == []
    assert [read_status(client, id) for id in children] == ["queued", "deferred"]
    run_one(records, other, "finished")
    assert read_status(client, children[1]) == "queued"


def test_a_canceled_dependent_is_requeued_after_its_parent(client: TestClient, records: Records) -> None:
    parent = post(client)
    child = post(client, parent)
    run_one(records, parent, "permanent")
    assert client.post(f"/v1/jobs/{child}/requeue").status_code == 409
    client.post(f"/v1/jobs/{parent}/requeue")
    assert client.post(f"/v1/jobs/{child}/requeue").json()["status"] == "deferred"
    run_one(records, parent, "finished")
    assert read_status(client, child) == "queued"


@pytest.mark.parametrize(("word", "status"), [("run", "queued"), ("wait", "deferred")])
def test_a_canceled_job_is_requeued_by_its_own_on_failure(
    client: TestClient, records: Records, word: str, status: str
) -> None:
    parent = post(client)
    child = post(client, parent, on_failure=word)
    client.post(f"/v1/jobs/{child}/cancel")
    run_one(records, parent, "permanent")
    assert client.post(f"/v1/jobs/{child}/requeue").json()["status"] == status


def test_an_orphan_whose_parents_are_gone_is_canceled_or_runs(
    client: TestClient, redis: Redis, records: Records
) -> None:
    parent = post(client)
    children = {word: post(client, parent, on_failure=word) for word in WORDS}
    redis.delete(f"rq:job:{parent}")
    redis.zadd("rq:deferred:default", {"gone": 1})
    assert records.settle_orphans("default", 0, 100) == (4, 4)
    assert {word: read_status(client, id) for word, id in children.items()} == {
        "cancel": "canceled",
        "run": "queued",
        "wait": "canceled",
    }


def test_what_still_waits_is_no_orphan(client: TestClient, redis: Redis, records: Records) -> None:
    parent, failed = post(client), post(client)
    children = [post(client, parent, on_failure=word) for word in WORDS]
    children += [post(client, failed, parent, on_failure=word) for word in ("run", "wait")]
    redis.hset(f"rq:job:{failed}", "status", "failed")
    assert records.settle_orphans("default", 0, 100) == (5, 0)
    assert {read_status(client, id) for id in children} == {"deferred"}


# A naive model of what becomes of jobs that wait for others: `nodes` are (numbers of the parents, on_failure, how it
# ends when it runs), in the order in which they are posted.
Node = tuple[tuple[int, ...], str, str]


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 7))):
        parents = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        nodes.append((tuple(parents), draw(st.sampled_from(WORDS)), draw(st.sampled_from(["finished", "failed"]))))
    return nodes


def judge(word: str, parents: list[str]) -> str:
    """Return «runs», canceled or deferred."""
    if word == "cancel" and {"failed", "canceled"} & set(parents):
        return "canceled"
    is_met = all(status == "finished" or (word == "run" and status in ("failed", "canceled")) for status in parents)
    return "runs" if is_met else "deferred"


def predict(nodes: list[Node], known: list[str], ends: list[str]) -> list[str]:
    """Return the statuses in which all comes to rest; those in `known` that are not deferred stay."""
    statuses: list[str] = []
    for number, (parents, word, _) in enumerate(nodes):
        fate = judge(word, [statuses[parent] for parent in parents])
        status = ends[number] if fate == "runs" else fate
        statuses.append(known[number] if known[number] != "deferred" else status)
    return statuses


def drain(records: Records, ends: dict[str, str], reverse: bool) -> None:
    """Run what is queued, and what comes of it, to the ends given."""
    while executions := take(records, 3):
        for execution in reversed(executions) if reverse else executions:
            send_report(records, "permanent" if ends[execution.job_id] == "failed" else "finished", execution)


@pytest.mark.valkey
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=graphs(), reverse=st.booleans(), early=st.integers(0, 7))
def test_any_graph_comes_to_rest_as_a_naive_model_says_and_nothing_is_stuck(
    client: TestClient, redis: Redis, nodes: list[Node], reverse: bool, early: int
) -> None:
    redis.flushall()
    records = build_records(redis)
    ids: list[str] = []
    ends: dict[str, str] = {}
    for number, (parents, word, end) in enumerate(nodes):
        if number == early:  # some parents have ended when their children are posted
            drain(records, ends, reverse)
        ids.append(post(client, *(ids[parent] for parent in parents), on_failure=word))
        ends[ids[-1]] = end
    drain(records, ends, reverse)
    first = predict(nodes, ["deferred"] * len(nodes), [end for *_, end in nodes])
    assert [read_status(client, id) for id in ids] == first

    for id, status in zip(ids, first, strict=True):  # the second try of all that failed succeeds
        if status == "failed":
            assert client.post(f"/v1/jobs/{id}/requeue").status_code == 202
    drain(records, dict.fromkeys(ids, "finished"), reverse)
    known = ["finished" if status == "failed" else status for status in first]
    second = predict(nodes, known, ["finished"] * len(nodes))
    assert [read_status(client, id) for id in ids] == second

    left = ids
    while left:  # whatever still waits, waits for one that has ended, and goes when that one is deleted
        ended = [id for id in left if read_status(client, id) != "deferred"]
        assert ended, f"stuck: {left}"
        for id in ended:
            assert client.delete(f"/v1/jobs/{id}").status_code == 204
        left = [id for id in left if id not in ended]
    assert redis.zcard("rq:deferred:default") == 0
    assert redis.keys("errand:dependents:*") == []


@pytest.mark.parametrize("end", ["failed", "canceled", "deleted"])
def test_one_below_the_end_and_below_what_that_cancels_runs(client: TestClient, records: Records, end: str) -> None:
    first = post(client)
    second = post(client, first)
    third = post(client, second)
    last = post(client, first, third, on_failure="run")
    if end == "failed":
        run_one(records, first, "permanent")
    elif end == "canceled":
        client.post(f"/v1/jobs/{first}/cancel")
    else:
        client.delete(f"/v1/jobs/{first}")
    assert [read_status(client, id) for id in (second, third, last)] == ["canceled", "canceled", "queued"]


def test_more_dependents_than_are_settled_in_one_step_are_refused(client: TestClient, redis: Redis) -> None:
    parent = post(client)
    redis.sadd(f"errand:dependents:{parent}", *range(4999))
    post(client, parent)
    answer = client.post(f"/v1/jobs/tally?after={parent}", json={"number": 1})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"parameter": "after", "detail": f"job {parent} has 5,000 dependents, the most there may be"}
    ]
    assert redis.zcard("rq:deferred:default") == 1


def test_a_hundred_of_many_dependents_are_shown_and_always_the_same(client: TestClient, redis: Redis) -> None:
    parent = post(client)
    redis.sadd(f"errand:dependents:{parent}", *(f"{number:04}" for number in range(1500)))
    shown = [client.get(f"/v1/jobs/{parent}") for _ in range(2)]
    assert len(shown[0].json()["dependents"]) == 100
    assert shown[0].headers["etag"] == shown[1].headers["etag"]


def test_those_canceled_on_arrival_do_not_pile_up_in_their_registry(client: TestClient, redis: Redis) -> None:
    parent = post(client)
    client.post(f"/v1/jobs/{parent}/cancel")
    redis.zadd("rq:canceled:default", {f"gone-{number}": 1 for number in range(40)})
    for _ in range(60):
        post(client, parent)
    assert redis.zcard("rq:canceled:default") < 90
