"""The job types of tests inside this process, whatever lies in jobs/: those that come with Errand, and a plain one.

They are stored as those of jobs/ are; no test here runs one by its stored name.
"""

from typing import Annotated, Any

from pydantic import Field

from errand import Job, job
from errand.builtin import email, log, webhook
from service import tutorial


@job(timeout_seconds=120, example={"number": 7})
def run(number: Annotated[int, Field(ge=0, lt=2**63)]) -> int:
    """Return the number."""
    return number


TALLY: Job[..., Any] = run.adopt("jobs.tally")
EMAIL: Job[..., Any] = email.run.adopt("jobs.email")
LOG: Job[..., Any] = log.run.adopt("jobs.log")
WEBHOOK: Job[..., Any] = webhook.run.adopt("jobs.webhook")
TYPES = {one.type: one for one in (EMAIL, LOG, TALLY, WEBHOOK)}
WITH_TUTORIAL = TYPES | {  # those that the application's own routes post, whichever of them are left
    file.run.type: file.run for file in vars(tutorial).values() if isinstance(getattr(file, "run", None), Job)
}
