"""What an execution reports: how far it is, or how it ended."""

from typing import NamedTuple

from errand.worker.execution import Execution


class Report(NamedTuple):
    """A report of an execution; `kind` is progress, finished, failed, permanent, stopped, expired or interrupted.

    Two kinds are about what this worker can't run and another one may: refused, of a payload, and unknown:<type>. Two
    more: down, where what the job works with can't be used now, and partial:<result>, where that is the job's result if
    no try is left.

    `value` is the progress, the result or the trace as stored, `error` JSON for the status. A retry comes
    `delay_seconds` later at the least. `frame` is the place in the job's own code from which an error came.
    """

    kind: str
    execution: Execution
    value: str = ""
    error: str = ""
    delay_seconds: float = 0.0
    ended: float = 0.0
    frame: str = ""
