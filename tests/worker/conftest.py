"""Fixtures of the worker's tests."""

import logging
from collections.abc import Iterator

import pytest
from redis import Redis
from rq import Queue

from errand.worker.records import Records
from tests.worker.scripts import build_records


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue("default", connection=redis, serializer="json")


@pytest.fixture
def records(redis: Redis) -> Records:
    return build_records(redis)


@pytest.fixture
def _with_log() -> Iterator[None]:
    """What a worker logs reaches `caplog`."""
    logger = logging.getLogger("errand.worker")
    propagates, logger.propagate = logger.propagate, True
    yield
    logger.propagate = propagates
