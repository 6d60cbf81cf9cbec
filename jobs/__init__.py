"""The job contract: a file in this folder with a `run` under `@job()` is a job.

Its name becomes its type (`jobs/item.py` is `POST /v1/jobs/item`), the typed parameters of `run` become its payload,
and `run.perform` is what any RQ worker calls. A file whose name begins with an underscore is no job.
"""

from fast_depends import Depends

from jobs._enqueue import recording
from jobs._job import Job, job
from jobs._load import list_queues, load_jobs
from jobs._payload import ContractError, InvalidPayloadError, NotFiniteError
from jobs._progress import Progress
from jobs._record import job_id
from jobs._retry import Backoff, PermanentError

__all__ = [
    "Backoff",
    "ContractError",
    "Depends",
    "InvalidPayloadError",
    "Job",
    "NotFiniteError",
    "PermanentError",
    "Progress",
    "job",
    "job_id",
    "list_queues",
    "load_jobs",
    "recording",
]
