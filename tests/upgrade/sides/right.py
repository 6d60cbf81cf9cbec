"""As `left`, on the other queue."""

from jobs import job
from jobs.left import RETRY, Then, act


@job(queue="right", timeout_seconds=60, retry=RETRY)
def run(ledger: str, name: str, then: Then = "") -> str:
    return act(ledger, name, then)
