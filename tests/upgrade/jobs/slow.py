"""Return a number; one starts in a second."""

from jobs import job


@job(rate="1/s")
def run(number: int = 0) -> int:
    return number
