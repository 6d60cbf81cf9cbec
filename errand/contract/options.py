"""What `@job()` was given: as it was given, and what its texts say. ContractError names the file and the fix."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings

from errand.contract.cron import Cron, CronError, ZoneError
from errand.contract.errors import ContractError
from errand.contract.payload import format_faults
from errand.contract.queue import Queue
from errand.contract.rate import Rate, read_rate
from errand.contract.retry import Backoff

Expires = Literal["start", "end"]
BODY_LIMIT_BYTES = 1024 * 1024  # as for every other request (errand/api/http/body.py); intake holds 64 of them at once


@dataclass(frozen=True)
class Options:
    """What `@job()` was given, as it was given; `job` says what each option means.

    The methods take the job file («jobs/sms.py») that their errors begin with, and raise ContractError.
    """

    queue: str
    timeout_seconds: int
    retry: Backoff | Callable[[], Backoff]
    settings: type[BaseSettings] | None
    example: dict[str, Any] | None
    isolate: bool
    cron: str | None
    timezone: str | None
    rate: str | None
    service: Callable[[], str] | None = None
    expires: Expires = "start"
    max_bytes: int | Callable[[], int] = BODY_LIMIT_BYTES

    def check(self, where: str) -> None:
        """Check all that needs no payload and has no method of its own here."""
        if self.timeout_seconds < 1:
            raise ContractError(f"{where}: timeout_seconds is {self.timeout_seconds}; give at least 1")
        if self.expires not in get_args(Expires):
            raise ContractError(f"{where}: expires is {self.expires!r}; give 'start' or 'end'")
        if not callable(self.max_bytes) and self.max_bytes < 1:
            raise ContractError(f"{where}: max_bytes is {self.max_bytes}; give at least 1")
        retry = self.read_retry()
        if retry.hours is not None and not 0 < retry.hours < math.inf:
            raise ContractError(f"{where}: Backoff(hours={retry.hours}); give more than 0")
        if retry.retries < 0:
            raise ContractError(f"{where}: Backoff(tries={retry.tries}); the first attempt counts: at least 1")

    def read_retry(self) -> Backoff:
        """Return the policy; a function is called each time, since the environment may change what it returns."""
        return self.retry if isinstance(self.retry, Backoff) else self.retry()

    def read_queue(self, where: str) -> Queue:
        """Return the queue."""
        try:
            return Queue(self.queue)
        except ValueError as error:
            raise ContractError(f"{where}: queue '{self.queue}': {error}") from None

    def check_example(self, model: type[BaseModel], where: str) -> None:
        """Check that the example is a payload."""
        if self.example is not None:
            try:
                model.model_validate(self.example)
            except ValidationError as error:
                raise ContractError(f"{where}: the example is no valid payload: {format_faults(error)}") from None

    def read_cron(self, model: type[BaseModel], where: str) -> Cron | None:
        """Return when the job runs by itself, which takes a payload without anything in it; None where it does not."""
        if self.cron is None:
            if self.timezone is not None:
                raise ContractError(f"{where}: timezone is the cron's; give a cron or leave it out")
            return None
        try:
            model.model_validate({})
        except ValidationError as error:
            names = [str(fault["loc"][0]) for fault in error.errors() if fault["type"] == "missing" and fault["loc"]]
            which = ", ".join(f"'{name}'" for name in names) or format_faults(error)
            raise ContractError(f"{where}: cron runs it without a payload; give {which} a default") from None
        try:
            return Cron(self.cron, self.timezone or "UTC")
        except CronError as error:
            raise ContractError(f"{where}: cron: {error}") from None
        except ZoneError as error:
            raise ContractError(f"{where}: timezone: {error}") from None

    def read_rate(self, where: str) -> Rate | None:
        """Return how many may start in which time, None where any number may."""
        try:
            return None if self.rate is None else read_rate(self.rate)
        except ValueError as error:
            raise ContractError(f"{where}: rate {self.rate!r}: {error}") from None
