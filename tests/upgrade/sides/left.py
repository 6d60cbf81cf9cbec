"""Note in a ledger each start and each end, and whose code runs the job; in between do as told. On its own queue."""

import inspect
import time
from pathlib import Path
from typing import Literal

from jobs import Backoff, PermanentError, job

Then = Literal["", "fail", "fail once", "permanent", "hold", "linger"]
RETRY = Backoff(tries=3, base_seconds=1, cap_seconds=1)


def act(ledger: str, name: str, then: Then) -> str:
    """`hold` is until the ledger's gate is open: a file whose name begins as the ledger's does."""
    path, code = Path(ledger), str(inspect.getsourcefile(job))
    with path.open("a") as file:
        file.write(f"start {name} {code}\n")
    while then == "hold" and not path.with_suffix(".open").exists():
        time.sleep(0.05)
    if then == "linger":
        time.sleep(2)
    if then == "fail" or (then == "fail once" and path.read_text().count(f"start {name} ") == 1):
        raise ValueError("told to fail")
    if then == "permanent":
        raise PermanentError("told to fail for good")
    with path.open("a") as file:
        file.write(f"end {name} {code}\n")
    return name


@job(queue="left", timeout_seconds=60, retry=RETRY)
def run(ledger: str, name: str, then: Then = "") -> str:
    return act(ledger, name, then)
