"""An application's jobs, for the tests of `errand_jobs`: what pytest's ini option `errand` of this project names."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from errand import Backoff, Errand, Job, PermanentError, Progress, job, job_id
from tests.support import job_types

PACKAGE = "tests.testing.house"

calls: list[Any] = []
greeting: ContextVar[str] = ContextVar("greeting", default="nobody")
loops: set[int] = set()


def _define(name: str, function: Callable[..., Any], **options: Any) -> Job[..., Any]:
    return job(**options)(function).adopt(f"{PACKAGE}.{name}")


GIVEN = {name: one.adopt(f"{PACKAGE}.{name}") for name, one in job_types.TYPES.items()}
EMAIL, LOG, TALLY = GIVEN["email"], GIVEN["log"], GIVEN["tally"]


def _signup(email: str) -> str:
    """Enqueue two others, as `run.enqueue` does inside a job."""
    EMAIL.enqueue({"to": email, "subject": "Welcome", "text": "Good to have you."})
    return LOG.enqueue("signed up", level="notice")


def _flaky(fails: int, progress: Progress = Progress()) -> str:
    progress(1, 2, "half")
    calls.append(job_id())
    if len(calls) <= fails:
        raise ConnectionError("the bank's server is away")
    return "paid"


def _broken() -> None:
    raise PermanentError("no such account")


async def _concurrent(name: str) -> str:
    await asyncio.sleep(0)
    loops.add(id(asyncio.get_running_loop()))
    return f"{greeting.get()} greets {name}"


def _nightly() -> None:
    calls.append("night")


def _endless() -> None:
    ENDLESS.enqueue()


def _calls_test(name: str) -> None:
    STANDS_FOR[name]()


STANDS_FOR: dict[str, Callable[[], Any]] = {}
ENDLESS = _define("endless", _endless)
OWN = [
    _define("signup", _signup, queue="signups"),
    _define("flaky", _flaky, retry=Backoff(tries=3, base_seconds=60, cap_seconds=60)),
    _define("broken", _broken),
    _define("concurrent", _concurrent),
    _define("nightly", _nightly, cron="0 3 * * *"),
    _define("calls_test", _calls_test, retry=Backoff(tries=2)),
    ENDLESS,
]


errand = Errand(PACKAGE)
vars(errand)["types"] = {one.type: one for one in (*OWN, *GIVEN.values())}  # where others have files
