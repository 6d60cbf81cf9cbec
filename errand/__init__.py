"""Errand: a lightweight job service on RQ. These are the names that a job file is written with.

from errand import Progress, job


@job(timeout_seconds=30)
def run(name: str, progress: Progress = Progress()) -> str: ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fast_depends import Depends

    from errand.app.errand import Errand
    from errand.contract.attempt import job_id
    from errand.contract.errors import (
        ContractError,
        InvalidPayloadError,
        NotFiniteError,
        PermanentError,
        ServiceDownError,
        UnfinishedError,
    )
    from errand.contract.from_python.enqueue import recording
    from errand.contract.hooks import on_worker_start, on_worker_stop
    from errand.contract.job import Job, job
    from errand.contract.load import list_queues, load_jobs
    from errand.contract.progress import Progress
    from errand.contract.queue import Queue
    from errand.contract.retry import Backoff

__all__ = [
    "Backoff",
    "ContractError",
    "Depends",
    "Errand",
    "InvalidPayloadError",
    "Job",
    "NotFiniteError",
    "PermanentError",
    "Progress",
    "Queue",
    "ServiceDownError",
    "UnfinishedError",
    "job",
    "job_id",
    "list_queues",
    "load_jobs",
    "on_worker_start",
    "on_worker_stop",
    "recording",
]

# Each is loaded when it is first used: the command line is in this package as well, and needs none of them.
_HOMES = {
    "Backoff": "errand.contract.retry",
    "ContractError": "errand.contract.errors",
    "Depends": "fast_depends",
    "Errand": "errand.app.errand",
    "InvalidPayloadError": "errand.contract.errors",
    "Job": "errand.contract.job",
    "NotFiniteError": "errand.contract.errors",
    "PermanentError": "errand.contract.errors",
    "Progress": "errand.contract.progress",
    "Queue": "errand.contract.queue",
    "ServiceDownError": "errand.contract.errors",
    "UnfinishedError": "errand.contract.errors",
    "job": "errand.contract.job",
    "job_id": "errand.contract.attempt",
    "list_queues": "errand.contract.load",
    "load_jobs": "errand.contract.load",
    "on_worker_start": "errand.contract.hooks",
    "on_worker_stop": "errand.contract.hooks",
    "recording": "errand.contract.from_python.enqueue",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'errand' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
