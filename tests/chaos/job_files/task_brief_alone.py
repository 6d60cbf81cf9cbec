"""As `task_brief`, in a process of its own."""

from errand import Backoff, Progress, job
from jobs._noted import Then, perform


@job(isolate=True, timeout_seconds=2, retry=Backoff(tries=2, base_seconds=1, cap_seconds=1))
def run(
    ledger: str,
    number: int,
    seconds: float = 0.0,
    then: Then = "",
    fail_first: int = 0,
    progress: Progress = Progress(),
) -> str:
    return perform(ledger, number, seconds, then, fail_first, progress)
