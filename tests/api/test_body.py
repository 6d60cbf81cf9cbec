"""Where a body is validated: on the event loop, or beside it where its model says that this takes long."""

import asyncio
import threading
from typing import Self

import pytest
from pydantic import BaseModel, model_validator

from errand.api.http.body import parse_beside
from errand.api.http.problems import Problem
from errand.api.routes.batches import build_router
from errand.contract.job import job


class Drawn(BaseModel):
    """A payload whose validation takes long where it names a picture; notes the thread that validated it."""

    text: str
    picture: int = 0
    thread: str = ""

    @staticmethod
    def validates_slowly(body: bytes) -> bool:
        return b'"picture"' in body

    @model_validator(mode="after")
    def _note(self) -> Self:
        self.thread = threading.current_thread().name
        return self


HERE = threading.current_thread().name


def test_only_a_body_that_takes_long_is_validated_in_a_thread() -> None:
    assert asyncio.run(parse_beside(b'{"text": "x"}', Drawn)).thread == HERE
    assert asyncio.run(parse_beside(b'{"text": "x", "picture": 1}', Drawn)).thread != HERE


def test_what_is_wrong_comes_from_there_too() -> None:
    with pytest.raises(Problem, match="one thing is wrong"):
        asyncio.run(parse_beside(b'{"picture": 1}', Drawn))


def test_a_batch_takes_as_long_as_its_items() -> None:
    @job()
    def run(drawn: Drawn) -> None:
        """Draw it."""

    bodies: dict[str, type[BaseModel]] = {}
    build_router({"draw": run}, bodies, [])
    (model,) = bodies.values()
    batch = asyncio.run(parse_beside(b'{"items": [{"text": "x", "picture": 1}]}', model))
    assert batch.items[0].thread != HERE  # type: ignore[attr-defined]
    batch = asyncio.run(parse_beside(b'{"items": [{"text": "x"}]}', model))
    assert batch.items[0].thread == HERE  # type: ignore[attr-defined]
