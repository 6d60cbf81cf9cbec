"""`DurableTasks`: FastAPI's `BackgroundTasks`, kept in Redis before the response leaves."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, ParamSpec

from fastapi import Depends, Request

from errand.api.http.deadline import redis_deadline
from errand.api.store import Store
from errand.api.store_once import REFUSALS, describe_refusal
from errand.contract.from_python.home import HomelessJobError, find_home
from errand.contract.job import Job
from errand.store.bodies import have_large
from errand.store.from_python.planned import Planned, plan

P = ParamSpec("P")


class DurableTasks:
    """What an endpoint wants done: `add_task(run, …)` takes any job's `run`, checks the payload and returns the id.

    The tasks run in the order added, each after the one before has succeeded, its retries included. When one fails for
    good, those after it are canceled. One with a delay, or with an `after` of its own, stands beside the others.
    """

    def __init__(self) -> None:
        self.jobs: list[Planned] = []
        self._last: tuple[str, ...] = ()

    def add_task(self, func: Job[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Add a task; return its job's id.

        Beside the payload it takes what `Asked` has: `delay_seconds`, `run_at`, `after`, `tags`, `key` and more; for a
        type checker, which sees the payload's parameters only, `run.using(…)` takes them. Raises TypeError and
        ValueError; pydantic's ValidationError is a ValueError.
        """
        payload, asked = func.bind(args, kwargs)
        if asked.unique_key is not None:  # the id is given before the store says whether it is another's
            raise ValueError("a task takes no unique_key; `await run.store(…, unique_key=…)` returns the right id")
        task = plan(func, payload, asked, self._last)
        self.jobs.append(task)
        if asked.after is None and not asked.is_timed:
            self._last = (task.id,)
        return task.id


async def durable_tasks(request: Request) -> AsyncIterator[DurableTasks]:
    """Store an endpoint's tasks, all or none, after the endpoint and before its response."""
    tasks = DurableTasks()
    yield tasks
    if tasks.jobs:
        await _store(_find_store(request, tasks.jobs), tasks.jobs)


async def _store(store: Store, tasks: Sequence[Planned]) -> None:
    """Store tasks, all or none. Raises Problem (413, 422, 503)."""
    away, ids = "Redis did not answer; the jobs may have been stored, under these ids", [task.id for task in tasks]
    try:
        async with redis_deadline(away, jobs=ids):
            await store.enqueuer.memory.check()  # which sets the clock
            now = store.clock.moment()
            jobs = [task.build(now) for task in tasks]
            if not have_large(jobs):
                await store.enqueuer.store(jobs)
                return
        left, holder = await store.intake.put_large(jobs)
        async with redis_deadline(away, jobs=ids):
            await store.enqueuer.store(left, holder=holder)
    except REFUSALS as error:
        raise describe_refusal(error) from None


# With FastAPI's ordinary scope a failure would come after the 200 had left.
Tasks = Annotated[DurableTasks, Depends(durable_tasks, scope="function")]


def _find_store(request: Request, tasks: Sequence[Planned]) -> Store:
    """Return the store of the Errand that has all of the jobs. Raises HomelessJobError."""
    stores = {id(store): store for store in (_find_store_of(request, task.type) for task in tasks)}
    if len(stores) > 1:
        raise HomelessJobError("the tasks of an endpoint are of two Errands; add those of one only, and `store` others")
    return stores.popitem()[1]


def _find_store_of(request: Request, job: Job[..., Any]) -> Store:
    state = request.app.state
    for store in (getattr(state, "errand_store", None), getattr(state, "store", None)):
        if isinstance(store, Store) and (known := store.types.get(job.type)) and known.path == job.path:
            return store
    try:
        home = find_home(job)
    except HomelessJobError:
        store = getattr(state, "store", None)
        if isinstance(store, Store):  # an application that was given its types
            return store
        raise
    found: Store = home.live_store
    return found
