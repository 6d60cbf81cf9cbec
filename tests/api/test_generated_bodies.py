"""Generated bodies, two hundred a type and, among the slow tests, ten thousand: never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from starlette.testclient import TestClient

from tests.support.job_types import TYPES

COUNT = 10_000
QUICK_COUNT = 200
CHUNK = 20  # bodies an example: hypothesis costs more than the requests do

text = st.text(max_size=20) | st.sampled_from(
    ["a@b.co", "ada@example.com", "a\r\nBcc: b@c.de", "info", "\x00", "é@ü.de"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=8
)


def bodies(type: str) -> st.SearchStrategy[Any]:
    """Bodies near the type's own shape, with fields missing, mistyped, unknown; and quite other ones."""
    fields = list(TYPES[type].payload.model.model_fields)
    example = TYPES[type].example or {}
    near = st.dictionaries(st.sampled_from([*fields, "unknown"]), values | st.sampled_from(list(example.values())))
    return near | near.map(lambda changes: {**example, **changes}) | values


@pytest.fixture
def hasty(redis: Redis) -> Iterator[Redis]:
    """A real server that does not wait for the disk at each write: a slow one is a 503, and no fault here."""
    redis.config_set("appendfsync", "no")
    yield redis
    redis.config_set("appendfsync", "always")


@pytest.mark.parametrize("type", TYPES)
def test_no_generated_body_is_a_5xx(client: TestClient, type: str) -> None:
    post_bodies(client, type, QUICK_COUNT)


@pytest.mark.slow
@pytest.mark.valkey
@pytest.mark.parametrize("type", TYPES)
def test_none_of_ten_thousand_generated_bodies_is_a_5xx(client: TestClient, type: str, hasty: Redis) -> None:
    post_bodies(client, type, COUNT)


def post_bodies(client: TestClient, type: str, count: int) -> None:
    seen = []

    @settings(
        max_examples=count // CHUNK,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(bodies(type), min_size=CHUNK, max_size=CHUNK))
    def post(chunk: list[Any]) -> None:
        for body in chunk:
            content = json.dumps(body)
            answer = client.post(f"/v1/jobs/{type}", content=content, headers={"Content-Type": "application/json"})
            seen.append(answer.status_code)
            assert answer.status_code in (202, 422), (answer.status_code, content, answer.text)

    post()
    assert len(seen) >= count
    assert {202, 422} <= set(seen)
