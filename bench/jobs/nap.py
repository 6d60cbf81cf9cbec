"""Wait 5 ms."""

import time

from errand import job


@job()
def run() -> int:
    """Wait as a job does that asks a server."""
    time.sleep(0.005)
    return 1
