"""What is posted: every kind of job, and how each of them may end."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Ends = frozenset[tuple[str, str]]
FINISHED: Ends = frozenset({("finished", "")})
LOST = ("failed", "Lost")  # its process died three times: what a run of many kills may do to any job


@dataclass(frozen=True)
class Post:
    """One request; `numbers` are ours, one a job that writes to the ledger, so that doubles can be seen."""

    shape: str
    path: str
    body: Any
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """A kind of post: how often it comes beside the others, and how its jobs end when nothing kills them."""

    weight: float
    build: Callable[[random.Random, "Numbers"], tuple[str, Any, tuple[int, ...]]]
    ends: Ends = FINISHED


class Numbers:
    """Hands out numbers, and knows the ledger's path."""

    def __init__(self, ledger: str, first: int, step: int) -> None:
        self.ledger = ledger
        self._last, self._step = first - step, step

    def take(self) -> int:
        """Return a number that nobody else has."""
        self._last += self._step
        return self._last


def build(name: str, dice: random.Random, numbers: Numbers) -> Post:
    """Return a post of the shape `name`."""
    path, body, taken = SHAPES[name].build(dice, numbers)
    return Post(name, path, body, taken)


def draw_seconds(dice: random.Random) -> float:
    """Return a job's length: most are short, some take 3 seconds."""
    longest = dice.choices((0.0, 0.1, 1.0, 3.0), (30, 40, 22, 8))[0]
    return round(dice.uniform(0, longest), 2)


def _task(type: str = "task", query: str = "", **fixed: Any) -> Callable[..., tuple[str, Any, tuple[int, ...]]]:
    def build(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
        number = numbers.take()
        body = {"ledger": numbers.ledger, "number": number, "seconds": draw_seconds(dice), **fixed}
        return f"/v1/jobs/{type}{query and query.format(dice.randint(1, 6))}", body, (number,)

    return build


def _batch(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    taken = tuple(numbers.take() for _ in range(dice.randint(5, 15)))
    items = [{"ledger": numbers.ledger, "number": number, "seconds": draw_seconds(dice)} for number in taken]
    return "/v1/batches/task", {"items": items}, taken


def _mail(number: int) -> dict[str, Any]:
    return {"to": f"user{number}@example.com", "subject": f"Chaos {number}", "text": "It works."}


def _mails(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    taken = tuple(numbers.take() for _ in range(5))
    return "/v1/batches/email", {"items": [_mail(number) for number in taken]}, taken


def _email(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    number = numbers.take()
    return "/v1/jobs/email", _mail(number), (number,)


def _log(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    number = numbers.take()
    return "/v1/jobs/log", {"text": f"Chaos {number}"}, (number,)


def _item(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    number = numbers.take()
    return "/v1/jobs/item", {"item_id": number}, (number,)


def _chain(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    number = numbers.take()
    return f"/send-notification/user{number}@example.com?message={quote(f'Chaos {number}')}", None, (number, number)


def _process(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    number = numbers.take()
    return f"/items/{number}/process", None, (number,)


def _changed(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
    """A payload for the one release or the other; an API of the other one refuses it."""
    path, body, taken = _plain("changed")(dice, numbers)
    return path, {**body, "label": "x"} if dice.random() < 0.5 else body, taken


def _plain(type: str) -> Callable[..., tuple[str, Any, tuple[int, ...]]]:
    def build(dice: random.Random, numbers: Numbers) -> tuple[str, Any, tuple[int, ...]]:
        number = numbers.take()
        return f"/v1/jobs/{type}", {"ledger": numbers.ledger, "number": number}, (number,)

    return build


def _failed(error: str) -> Ends:
    return frozenset({("failed", error)})


_TIMEOUT = _failed("JobTimeoutException")

SHAPES = {
    "task": Shape(40, _task()),
    "isolated": Shape(6, _task("task_alone")),
    "delayed": Shape(7, _task(query="?delay_seconds={}")),
    "failing once": Shape(4, _task(fail_first=1)),
    "failing twice": Shape(2, _task(fail_first=2)),
    "failing, isolated": Shape(1, _task("task_alone", fail_first=1)),
    "failing always": Shape(1, _task(then="fail"), _failed("ValueError")),
    "failing for good": Shape(1, _task(then="permanent"), _failed("PermanentError")),
    "too long": Shape(0.7, _task("task_brief", seconds=3), _TIMEOUT),
    "too long, isolated": Shape(0.3, _task("task_brief_alone", seconds=3), _TIMEOUT),
    "batch": Shape(2, _batch),
    "log": Shape(12, _log),
    "email": Shape(9, _email),
    "emails": Shape(0.7, _mails),
    "item": Shape(2, _item),
    "chain": Shape(4, _chain, FINISHED | {("canceled", "")}),
    "process": Shape(1, _process),
    # Of one release only; the others' API answers 404 or 422. A payload whose release has gone, workers and API, fails.
    "added": Shape(2, _plain("added")),
    "retired": Shape(2, _plain("retired")),
    "changed": Shape(4, _changed, FINISHED | _failed("InvalidPayloadError")),
    # These come as faults only: each costs its runner, and its neighbours a run.
    "poison": Shape(0, _task(then="kill"), frozenset({LOST})),
    "stuck in C": Shape(0, _task("task_brief", then="hold", seconds=8), _TIMEOUT),
    "swallowing": Shape(0, _task("task_brief", then="swallow", seconds=15), _TIMEOUT),
}
TRIES = {"task": 3, "task_alone": 3, "task_brief": 2, "task_brief_alone": 2}  # of those that write to the ledger
POSTED = [name for name, shape in SHAPES.items() if shape.weight]
