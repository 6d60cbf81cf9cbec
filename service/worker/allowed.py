"""What a job's hash may make a worker run: the functions of the job files and nothing else.

In RQ 3.0.0 a hash names code in five places: the function, three callbacks and an instance; and addresses in webhooks.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from rq.job import Job, JobStatus

from jobs import PermanentError


class NotAllowedError(PermanentError):
    """Raised when a job's hash names something that is no job file's."""


class AllowedJob(Job):
    """RQ's job, limited to `functions`, by the path that RQ stores."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}

    def _execute(self) -> Any:
        try:
            self._check()
        except NotAllowedError:
            self.retries_left = 0
            raise
        return super()._execute()

    def _check(self) -> None:
        """Look at every name before the work begins. Raises NotAllowedError."""
        names = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if any(names):
            raise NotAllowedError(f"the job names a callback, {next(filter(None, names))[:80]!r}; Errand runs none")
        if self.instance is not None or self.func_name not in self.functions:
            raise NotAllowedError(f"{str(self.func_name)[:80]!r} is no function of a file in jobs/")

    @property
    def func(self) -> Callable[..., Any]:
        """The function, found by its path in the list; nothing is imported."""
        self._check()
        return self.functions[str(self.func_name)]

    success_callback = failure_callback = stopped_callback = property(lambda self: None)

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Send nothing: the addresses in a hash could be anyone's."""
