"""What a page says after a change: found by a word in its address, so that nobody can make it say something else."""

import re
from collections.abc import Mapping

WORD, COUNT, PASSED = "done", "count", "passed"
NOTICES = {
    "batch-requeued": "{count} jobs requeued.",
    "queue-paused": "The queue is paused. What runs goes on; what is posted to it waits.",
    "queue-resumed": "The queue is resumed.",
    "schedule-paused": "The schedule is paused. It posts no job until it is resumed.",
    "schedule-resumed": "The schedule is resumed.",
    "schedule-stored": "The schedule is stored.",
    "schedule-changed": "The schedule is changed.",
    "schedule-deleted": "The schedule is deleted. Its jobs stay.",
    "schedule-run": "A job of the schedule is stored.",
    "job-canceled": "The job is canceled.",
    "job-stopping": "The job was asked to stop. It ends at its next step, or is killed if isolated.",
    "job-stopped": "The job is stopped.",
    "job-requeued": "The job is requeued, with all its tries.",
    "job-requeued-edited": "The job is requeued with the edited payload; the one before is in its time line.",
    "job-run-again": "This is the new job, with payload and options of the one before.",
    "job-sent-before": "The form was sent twice; this is its job.",
    "job-stored": "The job is stored.",
    "job-existing": "A job with that unique key exists already: this one. Nothing was stored.",
    "job-replaced": "The scheduled job with that unique key was replaced by this one.",
    "job-deleted": "The job is deleted.",
    "jobs-requeued": "Jobs queued again: {count}.",
    "jobs-requeued-some": "Jobs queued again: {count}. Passed over: {passed}, which were gone or had another status.",
    "jobs-canceled": "Jobs canceled: {count}. Those that run were asked to stop.",
    "jobs-canceled-some": "Jobs canceled: {count}. Passed over: {passed}, which were gone or had ended.",
    "jobs-deleted": "Jobs deleted: {count}.",
    "jobs-deleted-some": "Jobs deleted: {count}. Passed over: {passed}, which were gone or run.",
}


def find_notice(query: Mapping[str, str]) -> str | None:
    """Return what the page says, None where it has nothing to say; {count} and {passed} are numbers in the address."""
    text = NOTICES.get(query.get(WORD, ""))
    if text is None:
        return None
    for name in (COUNT, PASSED):
        text = text.replace(f"{{{name}}}", _write(query.get(name, "")))
    return text


def _write(number: str) -> str:
    return f"{int(number):,}" if re.fullmatch(r"[0-9]{1,9}", number) else "some"
