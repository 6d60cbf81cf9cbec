"""Do as told while a file `closed` lies in the working folder; once it is gone, finish at once."""

import time
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from jobs import Backoff, PermanentError, Progress, job

CLOSED = Path("closed")


def wait_at_gate() -> None:
    while CLOSED.exists():
        time.sleep(0.05)


@job(timeout_seconds=600, retry=Backoff(tries=3, base_seconds=86400, cap_seconds=86400))
def run(
    value: JsonValue = None, then: Literal["", "fail", "permanent", "hold"] = "", progress: Progress = Progress()
) -> JsonValue:
    progress(1, 2, "at the gate")
    if then == "hold":
        wait_at_gate()
    if then == "fail" and CLOSED.exists():
        raise ValueError("the gate is closed")
    if then == "permanent" and CLOSED.exists():
        raise PermanentError("the gate is closed for good")
    progress(2, 2, "through")
    return value
