"""`@job()`: a function becomes something to call, to enqueue, and to perform."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from fast_depends import inject
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from pydantic_settings import BaseSettings

from jobs._cron import Cron, CronError, ZoneError
from jobs._enqueue import enqueue
from jobs._payload import ContractError, Payload, read_payload, tell_faults
from jobs._progress import LiveProgress
from jobs._rate import Rate, read_rate
from jobs._record import Record
from jobs._retry import Backoff, PermanentError

P = ParamSpec("P")
R = TypeVar("R")

RESULT_LIMIT_BYTES = 64 * 1024
# Without this setting pydantic makes NaN and infinity null, and nobody hears of it.
_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


class ResultError(PermanentError):
    """Raised when what `run` returned can't be kept as its result."""


class Job(Generic[P, R]):
    """One job type: `run(…)` calls the function as it is, `run.enqueue(…)` stores it, `run.perform` is RQ's entry."""

    def __init__(
        self,
        function: Callable[P, R],
        queue: str,
        timeout_seconds: int,
        retry: Backoff,
        settings: type[BaseSettings] | None,
        example: dict[str, Any] | None,
        isolate: bool = False,
        cron: str | None = None,
        timezone: str | None = None,
        rate: str | None = None,
    ) -> None:
        self.function = function
        self.type = function.__module__.rpartition(".")[2]
        self.where = f"jobs/{self.type}.py"
        self.path = f"{function.__module__}.run.perform"
        self.queue = queue
        self.timeout_seconds = timeout_seconds
        self.retry = retry
        self.settings = settings
        self.isolate = isolate
        self._check()
        self.payload: Payload = read_payload(function, self.where)
        self.example = self._check_example(example)
        self.cron = self._read_cron(cron, timezone)
        self.rate = self._read_rate(rate)
        self._inject = self._build_injection()
        self.__doc__ = inspect.getmodule(function).__doc__ if inspect.getmodule(function) else function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without Redis."""
        return self.function(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Store a job of this type from inside a job; return its id. Raises TypeError or ValidationError."""
        return enqueue(self, self.payload.bind(*args, **kwargs))

    def perform(self, /, **stored: Any) -> Any:
        """Run one attempt, as an RQ worker calls it: validate, inject, call, and return the result as JSON."""
        record = Record()
        record.begin()
        progress = LiveProgress(record.report, record.check_stop)
        try:
            arguments = self.payload.load(stored)
            if self.payload.progress:
                arguments[self.payload.progress] = progress
            result = self._inject(**arguments)
            if inspect.iscoroutine(result):
                result = asyncio.run(record.announce(result))
            kept = self._dump(result)
            progress.flush()
            record.succeed()
        except BaseException as error:
            progress.flush()
            record.fail(error, permanent=isinstance(error, PermanentError))
            raise
        return kept

    def _dump(self, result: Any) -> Any:
        if result is None:
            return None
        try:
            kept = _ANYTHING.dump_python(result, mode="json")
            size_bytes = len(json.dumps(kept, allow_nan=False, ensure_ascii=False).encode())
        except (PydanticSerializationError, ValueError, TypeError) as error:
            raise ResultError(f"{self.where}: run() returned what JSON can't hold: {error}") from None
        if size_bytes > RESULT_LIMIT_BYTES:
            raise ResultError(
                f"{self.where}: run() returned {size_bytes:,} bytes of JSON, more than {RESULT_LIMIT_BYTES:,}; "
                f"store it elsewhere and return where"
            )
        return kept

    def _check(self) -> None:
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise ContractError(f"{self.where}: run() is a generator; return instead of yield")
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.queue):
            raise ContractError(f"{self.where}: queue '{self.queue}': use lower-case letters, digits, - and _")
        if self.timeout_seconds < 1:
            raise ContractError(f"{self.where}: timeout_seconds is {self.timeout_seconds}; give at least 1")
        if self.retry.tries < 1:
            raise ContractError(
                f"{self.where}: Backoff(tries={self.retry.tries}); the first attempt counts: at least 1"
            )

    def _check_example(self, example: dict[str, Any] | None) -> dict[str, Any] | None:
        if example is not None:
            try:
                self.payload.model.model_validate(example)
            except ValidationError as error:
                raise ContractError(f"{self.where}: the example is no valid payload: {tell_faults(error)}") from None
        return example

    def _read_rate(self, rate: str | None) -> Rate | None:
        try:
            return None if rate is None else read_rate(rate)
        except ValueError as error:
            raise ContractError(f"{self.where}: rate {rate!r}: {error}") from None

    def _read_cron(self, cron: str | None, timezone: str | None) -> Cron | None:
        if cron is None:
            if timezone is not None:
                raise ContractError(f"{self.where}: timezone is the cron's; give a cron or leave it out")
            return None
        try:
            self.payload.model.model_validate({})
        except ValidationError as error:
            names = [str(fault["loc"][0]) for fault in error.errors() if fault["type"] == "missing" and fault["loc"]]
            which = ", ".join(f"'{name}'" for name in names) or tell_faults(error)
            raise ContractError(f"{self.where}: cron runs it without a payload; give {which} a default") from None
        try:
            return Cron(cron, timezone or "UTC")
        except CronError as error:
            raise ContractError(f"{self.where}: cron: {error}") from None
        except ZoneError as error:
            raise ContractError(f"{self.where}: timezone: {error}") from None

    def _build_injection(self) -> Callable[..., Any]:
        try:
            return inject(self.function, cast=False)
        except AssertionError as error:
            raise ContractError(f"{self.where}: run(): {error}; make run() async or the dependency plain") from None


def job(
    misplaced: None = None,
    /,
    *,
    queue: str = "default",
    timeout_seconds: int = 60,
    retry: Backoff = Backoff(),
    settings: type[BaseSettings] | None = None,
    example: dict[str, Any] | None = None,
    isolate: bool = False,
    cron: str | None = None,
    timezone: str | None = None,
    rate: str | None = None,
) -> Callable[[Callable[P, R]], Job[P, R]]:
    """Make a function named `run` a job.

    `settings` is read at every start, which fails where it can't be built. `example` is a payload that runs as it is,
    shown in /docs. `isolate` gives each attempt a process of its own, which a time-out can kill: for work that may
    crash, hang in C code or keep the interpreter busy. `cron` is when it runs by itself, without a payload,
    by the clock of `timezone` (IANA, UTC by default). `rate` is how many may start in a second, a minute or an hour,
    "14/s", "100/m", "1000/h", all workers together. Raises ContractError where the function can't be one.
    """

    if misplaced is not None:
        name = getattr(misplaced, "__module__", "").rpartition(".")[2]
        raise ContractError(f"jobs/{name}.py: @job lacks its parentheses; write @job()")

    def decorate(function: Callable[P, R]) -> Job[P, R]:
        return Job(function, queue, timeout_seconds, retry, settings, example, isolate, cron, timezone, rate)

    return decorate
