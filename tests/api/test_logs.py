"""Reading what a job logged over HTTP; the script writes it as a worker's runner does."""

import json
from uuid import uuid4

import pytest
from redis import Redis
from starlette.testclient import TestClient

from errand.redis import keys
from errand.redis.lua.loader import read_script

EXECUTION = "e1"


def note(redis: Redis, id: str, texts: list[str], first: int = 1, execution: str = EXECUTION) -> None:
    """Write lines down, numbered from `first` on in their attempt."""
    args: list[str | int] = [id, execution, len(texts)]
    for number, text in enumerate(texts, first):
        line = {"t": 1.5, "level": "INFO", "attempt": 1, "logger": "app", "text": text}
        args += [number, json.dumps(line, separators=(",", ":"))[1:]]
    redis.register_script(read_script("observe/note_lines"))(args=args)


def read(client: TestClient, id: str, query: str = "") -> tuple[list[tuple[int, str]], int]:
    body = client.get(f"/v1/jobs/{id}/logs{query}").json()
    return [(item["number"], item["text"]) for item in body["items"]], body["dropped"]


@pytest.fixture
def id(client: TestClient) -> str:
    return str(client.post("/v1/jobs/log", json={"text": "x"}).json()["id"])


def test_a_job_that_said_nothing_has_no_lines(client: TestClient, id: str) -> None:
    assert client.get(f"/v1/jobs/{id}/logs").json() == {"items": [], "dropped": 0}


def test_a_line_is_shown_with_time_level_and_attempt(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["café \x00 \U0001f600"])
    assert client.get(f"/v1/jobs/{id}/logs").json()["items"] == [
        {
            "number": 1,
            "time": "1970-01-01T00:00:01.500Z",
            "level": "INFO",
            "attempt": 1,
            "logger": "app",
            "text": "café \x00 \U0001f600",
        }
    ]


def test_lines_after_a_number_are_read_alone(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one", "two", "three"])
    assert read(client, id, "?after=2") == ([(3, "three")], 0)
    assert read(client, id, "?after=3") == ([], 0)


@pytest.mark.parametrize("query", ["?after=-1", "?after=x", "?since=1"])
def test_what_is_no_number_is_refused(client: TestClient, id: str, query: str) -> None:
    assert client.get(f"/v1/jobs/{id}/logs{query}").status_code == 422


def test_a_job_that_is_not_there_is_unknown(client: TestClient) -> None:
    for id in (str(uuid4()), "x"):
        answer = client.get(f"/v1/jobs/{id}/logs")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem-type:errand:no-such-job")


def test_lines_outlive_a_job_whose_record_expired(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one"])
    redis.delete(f"rq:job:{id}")
    assert read(client, id) == ([(1, "one")], 0)


def test_lines_that_are_sent_again_are_written_once(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one", "two"])
    note(redis, id, ["one", "two", "three"])
    note(redis, id, ["again"], execution="e2")
    assert read(client, id) == ([(1, "one"), (2, "two"), (3, "three"), (4, "again")], 0)


def test_lines_that_were_dropped_on_their_way_are_counted(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one"])
    note(redis, id, ["four"], first=4)
    assert read(client, id) == ([(1, "one"), (4, "four")], 2)
    assert read(client, id, "?after=1") == ([(4, "four")], 2)


def test_the_last_thousand_lines_are_kept_with_their_numbers(client: TestClient, redis: Redis, id: str) -> None:
    for start in range(1, 1101, 100):
        note(redis, id, [f"line {number}" for number in range(start, start + 100)], first=start)
    lines, dropped = read(client, id)
    assert (lines[0], lines[-1], len(lines), dropped) == ((101, "line 101"), (1100, "line 1100"), 1000, 100)


def test_64_kib_of_lines_are_kept(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["x" * 4000 for _ in range(20)])
    stored = redis.lrange(keys.LOGS + id, 0, -1)
    assert 60_000 < sum(len(json.loads(line)["text"]) for line in stored) <= 64 * 1024
    assert read(client, id)[1] == 20 - len(stored)


def test_numbers_go_on_where_all_lines_went_for_others(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one", "two"])
    redis.delete(keys.LOGS + id)
    assert read(client, id) == ([], 2)
    note(redis, id, ["three"], first=3)
    assert read(client, id) == ([(3, "three")], 2)


def test_lines_are_counted_among_the_notes_and_go_with_their_job(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one"])
    assert redis.zrange(keys.NOTES, 0, -1) == [f"{keys.LOGS}{id}".encode()]
    assert 0 < redis.ttl(keys.LOGS + id) <= 24 * 3600
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    assert redis.exists(keys.LOGS + id, keys.NOTES, keys.NOTES_BYTES) == 0


def test_lines_come_before_the_end_for_a_client_that_comes_late(client: TestClient, redis: Redis, id: str) -> None:
    note(redis, id, ["one", "two"])
    redis.hset(f"rq:job:{id}", "status", "finished")

    def watch(last_id: str = "") -> list[tuple[str, str]]:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        text = client.get(f"/v1/jobs/{id}/events", headers=headers).text
        blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
        return [(block["event"], block["id"]) for block in blocks if block]

    events = watch()
    assert [kind for kind, _ in events] == ["log", "log", "end"]
    assert [kind for kind, _ in watch(events[0][1])] == ["log", "end"]
    assert [kind for kind, _ in watch(events[1][1])] == ["end"]
    assert watch(events[2][1]) == []
    assert watch(events[2][1].rpartition(".")[0]) == []  # an id of the time before there were lines


def test_a_job_that_is_gone_gets_no_lines(client: TestClient, redis: Redis, id: str) -> None:
    client.delete(f"/v1/jobs/{id}")
    note(redis, id, ["one"])
    assert redis.exists(f"rq:job:{id}", keys.LOGS + id) == 0
