"""/v1/stats: what ended, by step and type."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import TypeAdapter
from redis import Redis
from starlette.testclient import TestClient

from errand.api.routes.stats import StatsView
from errand.store.observe.counts import BUCKETS, find_quantiles
from tests.store.tallied import find_minute, write_end


def ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/stats", params=query)
    assert answer.status_code == 200, answer.text
    TypeAdapter(StatsView).validate_python(answer.json(), extra="forbid")
    return dict(answer.json())


def write_time(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def find(answer: dict[str, Any], minute: int) -> dict[str, Any]:
    """Return the types of the step that begins then."""
    (item,) = [item for item in answer["items"] if item["start"] == write_time(minute)]
    return dict(item["types"])


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="seconds")


def test_the_last_hour_by_minute_is_what_it_shows_by_default(client: TestClient, redis: Redis) -> None:
    answer = ask(client)
    assert answer["step"] == "1m"
    assert len(answer["items"]) in (60, 61)
    assert answer["items"][0]["start"] == answer["from"]
    assert all(item["types"] == {} for item in answer["items"])
    assert answer["total"] == {}
    assert answer["retention_seconds"] == {"1m": 3 * 3600, "5m": 72 * 3600, "1h": 90 * 24 * 3600}


def test_each_step_shows_what_ended_by_type(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis)
    write_end(redis, minute - 7, "log|0|2|finished", 3)
    write_end(redis, minute - 7, "log|0|2|retried", 1)
    write_end(redis, minute, "email|||canceled", 2)
    answer = ask(client)
    assert find(answer, minute - 7) == {
        "log": {
            "ended": {"finished": 3, "failed": 0, "stopped": 0, "canceled": 0},
            "attempts": {"finished": 3, "failed": 1, "interrupted": 0, "lost": 0, "stopped": 0},
            "wait_seconds": {"p50": 0.0025, "p95": 0.00475},
            "run_seconds": {"p50": 0.015, "p95": 0.0195},
        }
    }
    assert find(answer, minute)["email"]["ended"]["canceled"] == 2
    assert find(answer, minute)["email"]["wait_seconds"] == {"p50": None, "p95": None}


def test_the_total_is_of_all_steps(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis)
    for ago, bucket in ((0, 7), (3, 7), (9, 8), (9, 8)):
        write_end(redis, minute - ago, f"log|0|{bucket}|finished", 5)
    total = ask(client)["total"]["log"]
    assert total["ended"]["finished"] == 20
    assert total["run_seconds"]["p50"] == 1
    assert total["run_seconds"]["p95"] == 1.9


def test_one_type_is_shown_alone_and_in_each_step(client: TestClient, redis: Redis) -> None:
    minute = find_minute(redis)
    write_end(redis, minute - 1, "log|0|2|finished", 3)
    write_end(redis, minute - 1, "email|0|2|finished", 3)
    answer = ask(client, type="log")
    assert {tuple(item["types"]) for item in answer["items"]} == {("log",)}
    assert find(answer, minute - 1)["log"]["ended"]["finished"] == 3
    nothing = find(answer, minute - 9)["log"]
    assert nothing["run_seconds"] == {"p50": None, "p95": None}


@pytest.mark.parametrize(("step", "minutes"), [("1m", 1), ("5m", 5), ("1h", 60)])
def test_what_is_not_folded_yet_is_in_each_kind_of_step(
    client: TestClient, redis: Redis, step: str, minutes: int
) -> None:
    minute = find_minute(redis)
    redis.set("errand:tally-folded", minute - 1)
    start = minute // minutes * minutes
    redis.set(f"errand:stats:{minutes * 60}:{start * 60}", '{"log":[[5],[5],[5],0,0]}')
    write_end(redis, minute, "log|0|19|finished")
    assert find(ask(client, step=step), start)["log"]["ended"]["finished"] == 6
    assert redis.exists(f"errand:tally:{minute}")


def test_from_and_to_bound_it_by_whole_steps(client: TestClient, redis: Redis) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    begin = end - timedelta(minutes=22)
    answer = ask(client, **{"from": begin.isoformat(), "to": end.isoformat(), "step": "5m"})
    starts = [item["start"][11:16] for item in answer["items"]]
    assert [start[3:] for start in starts] == ["35", "40", "45", "50", "55"]
    assert datetime.fromisoformat(answer["to"]) == end


@pytest.mark.parametrize(
    ("span", "step"), [({"hours": 2.9}, "1m"), ({"hours": 4}, "5m"), ({"hours": 71}, "5m"), ({"days": 50}, "1h")]
)
def test_the_step_is_the_smallest_that_is_kept_so_long(
    client: TestClient, redis: Redis, span: dict[str, float], step: str
) -> None:
    assert ask(client, **{"from": ago(**span)})["step"] == step


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ({"from": "yesterday"}, "from", "write RFC 3339"),
        ({"from": "2090-01-01T00:00:00Z"}, "from", "not before `to`, or not in the past"),
        ({"to": "2000-01-01T00:00:00Z"}, "from", "steps of 1h are kept for 90 days; begin later"),
        ({"from": ago(hours=4), "step": "1m"}, "from", "steps of 1m are kept for 3 hours; ask for a larger step, or"),
        ({"from": ago(days=4), "step": "5m"}, "from", "steps of 5m are kept for 72 hours; ask for a larger step, or"),
        (
            {"from": ago(days=80), "step": "1h"},
            "step",
            "more than 1,500 steps of 1h; ask for a larger one, or for less",
        ),
        ({"step": "2m"}, "step", "'1m', '5m' or '1h'"),
        ({"types": "log"}, "types", "no such parameter"),
    ],
)
def test_what_it_can_not_show_is_a_422_with_the_way_out(
    client: TestClient, redis: Redis, query: dict[str, str], parameter: str, detail: str
) -> None:
    answer = client.get(f"/v1/stats?{'&'.join(f'{name}={quote(value)}' for name, value in query.items())}")
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["parameter"] == parameter
    assert detail in fault["detail"]


def test_quantiles_are_read_off_inside_the_buckets() -> None:
    def count(**places: int) -> list[int]:
        return [places.get(f"b{number}", 0) for number in range(BUCKETS)]

    assert find_quantiles(count(), (0.5, 0.95)) == [None, None]
    assert find_quantiles([], (0.5,)) == [None]
    assert find_quantiles(count(b7=10), (0.5,)) == [0.75]
    assert find_quantiles(count(b0=50, b7=50), (0.5, 0.95)) == [0.005, pytest.approx(0.95)]
    assert find_quantiles(count(b19=1), (0.5,)) == [10_800]
