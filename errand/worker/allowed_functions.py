"""What a job's hash may make a worker run: the functions of the job files and nothing else.

In RQ 3.0.0 a hash names code in five places: the function, three callbacks and an instance; and addresses in webhooks.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Self

from redis import Redis
from redis.client import Pipeline
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from errand.contract.errors import PermanentError
from errand.contract.from_python.home import list_homes
from errand.store.observe.bounded import cut_record
from errand.worker.execution import Execution

_PATH = re.compile(r"(?:[A-Za-z_]\w*\.)+([a-z][a-z0-9_]*)\.run\.perform")
# A type of ours is stored under these two where it was no other package's yet: an application's jobs may have moved. Of
# a package that has an Errand in this process they have not.
_MOVED = ("jobs", "errand.builtin")


def list_functions(types: Mapping[str, Any], package: str) -> dict[str, Callable[..., Any]]:
    """Return what a worker of `package` runs of its job types, by the names under which it may be stored."""
    taken = {home.package for home in list_homes()} - {package}
    free = [name for name in _MOVED if name not in taken]
    moved = {f"{old}.{name}.run.perform": job.perform for old in free for name, job in types.items()}
    return moved | {job.path: job.perform for job in types.values()}


class NotAllowedError(PermanentError):
    """Raised when a job's hash names something that is no job file's."""


class UnknownTypeError(NotAllowedError):
    """Raised when a job is of a type that this worker does not have; another may. The text is the type."""


class DamagedJob(PermanentError):  # noqa: N818 - its name is what the status shows
    """Raised when a job's payload can't be read."""


class AllowedJob(Job):
    """RQ's job, limited to `functions`, by the path that RQ stores."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    damage = ""

    @classmethod
    def build(cls, execution: Execution, connection: Redis) -> Self:
        """Return the job of an execution without asking Redis; `refresh()` reads the rest of RQ's fields."""
        job = cls(execution.job_id, connection=connection)
        job.serializer = JSONSerializer  # given to RQ 3.0.0's constructor it is looked up anew for each job
        job.data, job.damage = execution.data, execution.damage
        job.origin, job.description, job.timeout = execution.queue, execution.description, execution.timeout_seconds
        job.result_ttl, job.failure_ttl = (
            int(ttl) if ttl else None for ttl in (execution.result_ttl, execution.failure_ttl)
        )
        job._success_callback_name = execution.callback or None
        with suppress(ValueError):  # it may be anything; else it is about now
            job.created_at = datetime.fromisoformat(execution.times.created_at)
        return job

    def perform(self) -> Any:
        """Run it, in the context in which `get_current_job` finds it.

        Raises DamagedJob, NotAllowedError and what the job raises.
        """
        if self.damage:
            raise DamagedJob(f"its record can't be read: {self.damage}")
        try:
            self.func_name  # noqa: B018 - reads the payload
        except Exception as error:  # whatever is wrong with one record must not end the worker
            cause = error.__cause__ or error
            raise DamagedJob(f"its record can't be read: {type(cause).__name__}: {str(cause)[:300]}") from error
        return super().perform()

    def _execute(self) -> Any:
        return self.func(*self.args, **self.kwargs)  # RQ looks it up twice, to run a coroutine that it never returns

    def _check(self) -> None:
        """Look at every name before the work begins. Raises NotAllowedError."""
        names = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if any(names):
            raise NotAllowedError(f"the job names a callback, {next(filter(None, names))[:80]!r}; Errand runs none")
        if self.instance is not None or self.func_name not in self.functions:
            path = str(self.func_name)
            if self.instance is None and (found := _PATH.fullmatch(path)):
                self._refuse_namesake(path, found[1])
                raise UnknownTypeError(found[1])
            raise NotAllowedError(f"{path[:80]!r} is no function of a file in jobs/")

    def _refuse_namesake(self, path: str, type: str) -> None:
        """Raise NotAllowedError for a type that this worker has from another package: it could wait for ever."""
        if own := [one for one in self.functions if one.endswith(f".{type}.run.perform")]:
            raise NotAllowedError(
                f"{path[:80]!r} is not this worker's {type} ({own[-1]}); two applications with a type of one name need "
                "a Redis database each"
            )

    @property
    def func(self) -> Callable[..., Any]:
        """The function, found by its path in the list; nothing is imported."""
        self._check()
        return self.functions[str(self.func_name)]

    def restore(self, raw_data: Any) -> Any:
        """Take the fields of a hash over, of those that are packed none that is too large: b"" stands for it."""
        return super().restore(cut_record(raw_data))

    @property
    def dependency(self) -> Job | None:
        """The first job that it waited for, None where there is none. Raises RedisError."""
        self._read_dependencies()
        return super().dependency

    def fetch_dependencies(self, watch: bool = False, pipeline: Pipeline | None = None) -> list[Job]:
        """Return the jobs that it waited for, as RQ does, for a job that asks for them. Raises RedisError."""
        self._read_dependencies()
        return super().fetch_dependencies(watch, pipeline)

    def _read_dependencies(self) -> None:
        """Read their ids, which an execution does not carry: only a job that asks for them pays."""
        if not self._dependency_ids:
            self.refresh()  # type: ignore[no-untyped-call]

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Send nothing: the addresses in a hash could be anyone's."""
