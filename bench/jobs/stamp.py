"""Note how long it waited before it started."""

from bench.peer import note_wait
from errand import job


@job(example={"sent": 0.0})
def run(sent: float) -> int:
    """Note the seconds since it was sent."""
    return note_wait(sent)
