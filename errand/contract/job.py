"""`@job()`: a function becomes something to call, to enqueue, and to perform."""

import inspect
import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar

from fast_depends import inject
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError
from pydantic_settings import BaseSettings

from errand.contract.attempt import Attempt, current_attempt, current_job
from errand.contract.bodies import MARK, Fetch, build_fetch, list_bodies
from errand.contract.body_memory import room
from errand.contract.errors import (
    ContractError,
    ExpiredError,
    OutsideJobError,
    PermanentError,
    ResultError,
    UnfinishedError,
    holds,
)
from errand.contract.from_python.enqueue import enqueue, note_recorded
from errand.contract.from_python.home import find_home
from errand.contract.from_python.options import NOTHING, Asked, split
from errand.contract.options import BODY_LIMIT_BYTES, Expires, Options
from errand.contract.payload import Payload, read_payload
from errand.contract.process import OneProcess
from errand.contract.progress import LiveProgress, Progress
from errand.contract.queue import DEFAULT
from errand.contract.retry import Backoff

P = ParamSpec("P")
R = TypeVar("R")

RESULT_LIMIT_BYTES = 64 * 1024  # of JSON: results lie in Redis' memory, and each read of a status carries one
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode  # json.dumps() builds one at each such call
# Without this setting pydantic makes NaN and infinity null without a word.
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


class Job(Generic[P, R]):
    """One job type: `run(…)` calls the function as it is, `run.enqueue(…)` stores it, `run.perform` is RQ's entry.

    `module` is the job file's: its last part is the type, and `<module>.run.perform` the name under which it is stored.
    """

    def __init__(self, function: Callable[P, R], module: str, options: Options) -> None:
        self.function = function
        self.module = module
        self.type = module.rpartition(".")[2]
        self.where = f"{module.replace('.', '/')}.py"
        self.path = f"{module}.run.perform"
        self.options, self.asked = options, NOTHING
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ContractError(f"{self.where}: run() is a generator; return instead of yield")
        options.check(self.where)
        self.queue = options.read_queue(self.where)
        self.payload: Payload = read_payload(function, self.where)
        options.check_example(self.payload.model, self.where)
        self.cron = options.read_cron(self.payload.model, self.where)
        self.rate = options.read_rate(self.where)
        self._inject = self._build_injection()
        file = inspect.getmodule(function)
        # Python 3.13 and later describe None as well.
        self.__doc__ = (inspect.getdoc(file) if file else None) or function.__doc__

    @property
    def timeout_seconds(self) -> int:
        """How long an attempt may take."""
        return self.options.timeout_seconds

    @property
    def retry(self) -> Backoff:
        """When its failed attempts are tried again."""
        return self.options.read_retry()

    @retry.setter
    def retry(self, retry: Backoff | Callable[[], Backoff]) -> None:
        self.options = replace(self.options, retry=retry)

    @property
    def example(self) -> dict[str, Any] | None:
        """A payload that runs as it is, None where the job file gives none."""
        return self.options.example

    @property
    def max_bytes(self) -> int:
        """How large the body of a request that posts it may be; a function is called each time."""
        most = self.options.max_bytes
        return most() if callable(most) else most

    def adopt(self, module: str) -> "Job[P, R]":
        """Return this job as the one of another job file: `run = log.run.adopt(__name__)` is all of jobs/log.py."""
        return Job(self.function, module, self.options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without Redis."""
        return self.function(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Store a job of this type from inside a job; return its id.

        Raises TypeError, ValidationError and NotFiniteError for what can't be a payload, RuntimeError outside a job,
        and RedisError.
        """
        if self.asked is not NOTHING:
            raise TypeError(f"{self.where}: run.enqueue() takes no options; store() and store_sync() do")
        return enqueue(self, self.payload.bind(*args, **kwargs))

    def using(self, **options: Any) -> "Job[P, R]":
        """Return this job with options (`Asked`) for the jobs that it stores. Raises TypeError and ValueError."""
        job = copy(self)
        job.asked = Asked(**options)
        return job

    async def store(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Store a job of this type in one round trip; return its id. For async code, anywhere but in a job.

        It takes `delay_seconds` and the like as `DurableTasks.add_task` does. Raises TypeError, ValueError,
        HomelessJobError, FullRedisError, UnknownParentError, and RedisError or TimeoutError where Redis is away: the
        job may have been stored then.
        """
        payload, asked = self.bind(args, kwargs)
        return note_recorded(self, payload) or await find_home(self).store(self, payload, asked)

    def store_sync(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Do as `store`, and wait for it: for scripts, and for applications that are not async."""
        payload, asked = self.bind(args, kwargs)
        return note_recorded(self, payload) or find_home(self).store_sync(self, payload, asked)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], Asked]:
        """Return the payload of a call as stored, and the options in it. Raises TypeError and ValueError."""
        asked, given = split(self.asked, kwargs, self.payload.signature.parameters)
        return self.payload.bind(*args, **given), asked

    def perform(self, /, **stored: Any) -> Any:
        """Run one attempt, as an RQ worker calls it: validate, inject, call, and return the result as JSON."""
        attempt = current_attempt()
        too_late = attempt.begin()
        progress = LiveProgress(attempt.report, attempt.check_stop, attempt.now) if self.payload.progress else None
        try:
            if too_late:
                raise ExpiredError(too_late)
            run = self._run_large if MARK in stored else self._run
            kept = run(stored, attempt, progress)
            if progress:
                progress.flush()
            attempt.succeed()
        except BaseException as error:
            if progress:
                progress.flush()
            attempt.fail(error, permanent=holds(error, PermanentError))
            raise
        return kept

    def _run(
        self, stored: dict[str, Any], attempt: Attempt, progress: Progress | None, fetch: Fetch | None = None
    ) -> Any:
        arguments = self.payload.load(stored, fetch)
        if self.payload.progress:
            arguments[self.payload.progress] = progress
        return self._dump(self._call(arguments, attempt))

    def _run_large(self, stored: dict[str, Any], attempt: Attempt, progress: Progress | None) -> Any:
        """Do as `_run` with a payload that lies outside its job, as soon as this process has room for it."""
        current = current_job()
        if current is None:
            raise OutsideJobError(f"{self.path} has a payload that lies outside its job, and found no job here")
        with room.take(sum(size for _, size in list_bodies(stored))):
            return self._run(stored, attempt, progress, build_fetch(current.connection))

    def _call(self, arguments: dict[str, Any], attempt: Attempt) -> Any:
        """Return what `run` returns, or its part of the result where no try is left for the rest."""
        try:
            with OneProcess():
                result = self._inject(**arguments)
                return attempt.run(result) if inspect.iscoroutine(result) else result
        except UnfinishedError as error:
            if attempt.is_last():
                return error.result
            error.result = self._dump(error.result)
            raise

    def _dump(self, result: Any) -> Any:
        if result is None:
            return None
        try:
            kept = _ANYTHING.dump_python(result, mode="json")
            size_bytes = len(_encode(kept).encode())
        except (PydanticSerializationError, ValueError, TypeError) as error:
            raise ResultError(f"{self.where}: run() returned what JSON can't hold: {error}") from None
        if size_bytes > RESULT_LIMIT_BYTES:
            raise ResultError(
                f"{self.where}: run() returned {size_bytes:,} bytes of JSON, more than {RESULT_LIMIT_BYTES:,}; "
                f"store it elsewhere and return where"
            )
        return kept

    def _build_injection(self) -> Callable[..., Any]:
        try:
            return inject(self.function, cast=False)
        except AssertionError as error:
            raise ContractError(f"{self.where}: run(): {error}; make run() async or the dependency plain") from None


def job(
    misplaced: None = None,
    /,
    *,
    queue: str = DEFAULT,
    timeout_seconds: int = 60,
    retry: Backoff | Callable[[], Backoff] = Backoff(),
    settings: type[BaseSettings] | None = None,
    example: dict[str, Any] | None = None,
    isolate: bool = False,
    cron: str | None = None,
    timezone: str | None = None,
    rate: str | None = None,
    service: Callable[[], str] | None = None,
    expires: Expires = "start",
    max_bytes: int | Callable[[], int] = BODY_LIMIT_BYTES,
) -> Callable[[Callable[P, R]], Job[P, R]]:
    """Make a function named `run` a job.

    `settings` is read at every start, which fails where it can't be built. `example` is a payload that runs as it is,
    shown in /docs. `isolate` gives each attempt a process of its own, which a time-out can kill: for work that may
    crash, hang in C code or keep the interpreter busy. `cron` is when it runs by itself, without a payload,
    by the clock of `timezone` (IANA, UTC by default). `rate` is how many may start in a second, a minute or an hour,
    "14/s", "100/m", "1000/h", all workers together. `service` returns what the jobs work with, URL and credentials
    (only a hash of it leaves the process): after a ServiceDownError the type is held for workers with the same one.
    `expires` is what a job with `expires_in_seconds` must have done by then, else it is canceled: start, or end.
    `max_bytes` is how large a request's body may be, of one job or of a batch.
    Raises ContractError where the function can't be one.
    """

    if misplaced is not None:
        module = getattr(misplaced, "__module__", "")
        raise ContractError(f"{module.replace('.', '/')}.py: @job lacks its parentheses; write @job()")
    options = Options(
        queue, timeout_seconds, retry, settings, example, isolate, cron, timezone, rate, service, expires, max_bytes
    )

    def decorate(function: Callable[P, R]) -> Job[P, R]:
        return Job(function, function.__module__, options)

    return decorate
