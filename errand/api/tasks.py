"""`DurableTasks`: FastAPI's `BackgroundTasks`, kept in Redis before the response leaves."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, ParamSpec

from fastapi import Depends, Request

from errand.api.http.deadline import redis_deadline
from errand.api.posting import put_large
from errand.api.state import get_road
from errand.contract.job import Job
from errand.store.new_job import NewJob

P = ParamSpec("P")


class DurableTasks:
    """What an endpoint wants done: `add_task(run, …)` takes any job's `run`, checks the payload and returns the id.

    The tasks run in the order added, each after the one before has succeeded, its retries included. When one fails for
    good, those after it are canceled.
    """

    def __init__(self) -> None:
        self.jobs: list[NewJob] = []

    def add_task(self, func: Job[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Add a task; return its job's id. Raises TypeError or pydantic's ValidationError for a wrong payload."""
        after = (self.jobs[-1].id,) if self.jobs else ()
        self.jobs.append(NewJob(func, func.payload.bind(*args, **kwargs), after=after))
        return self.jobs[-1].id


async def durable_tasks(request: Request) -> AsyncIterator[DurableTasks]:
    """Store an endpoint's tasks as one chain, all or none, after the endpoint and before its response."""
    tasks = DurableTasks()
    yield tasks
    if tasks.jobs:
        road, ids = get_road(request), [job.id for job in tasks.jobs]
        jobs, holder = await put_large(request, tasks.jobs)
        async with redis_deadline("Redis did not answer; the jobs may have been stored, under these ids", jobs=ids):
            await road.enqueuer.store(jobs, holder=holder)


# With FastAPI's ordinary scope a failure would come after the 200 had left.
Tasks = Annotated[DurableTasks, Depends(durable_tasks, scope="function")]
