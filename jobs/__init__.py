"""The job files: one with a `run` under `@job()` is a job, and its name becomes its type.

`jobs/item.py` is `POST /v1/jobs/item`. A file whose name begins with an underscore is no job. The contract's names are
in `errand`; here they stay for one release, for job files that say `from jobs import job`.
"""

from errand import (
    Backoff,
    ContractError,
    Depends,
    InvalidPayloadError,
    Job,
    NotFiniteError,
    PermanentError,
    Progress,
    ServiceDownError,
    UnfinishedError,
    job,
    job_id,
    list_queues,
    load_jobs,
    recording,
)

__all__ = [
    "Backoff",
    "ContractError",
    "Depends",
    "InvalidPayloadError",
    "Job",
    "NotFiniteError",
    "PermanentError",
    "Progress",
    "ServiceDownError",
    "UnfinishedError",
    "job",
    "job_id",
    "list_queues",
    "load_jobs",
    "recording",
]
