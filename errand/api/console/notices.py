"""What a page says after a change. Its address has only a key of NOTICES, so that no link can make it say more."""

import re
from collections.abc import Mapping

NOTICE, COUNT, PASSED = "done", "count", "passed"  # parameters of the page's address
NOTICES = {
    "batch-requeued": "Failed jobs requeued: {count}.",
    "queue-paused": "The queue is paused. Its running jobs go on; its other jobs wait.",
    "queue-resumed": "The queue is resumed.",
    "schedule-paused": "The schedule is paused. It posts no jobs until it is resumed.",
    "schedule-resumed": "The schedule is resumed.",
    "schedule-stored": "The schedule is stored.",
    "schedule-changed": "The schedule is changed.",
    "schedule-deleted": "The schedule is deleted. Its jobs stay.",
    "schedule-run": "A job of the schedule was stored.",
    "job-canceled": "The job is canceled.",
    "job-stopping": "The job was asked to stop. It ends at its next step, or is killed if isolated.",
    "job-stopped": "The job is stopped.",
    "job-requeued": "The job is requeued, with all its tries.",
    "job-requeued-edited": "The job is requeued with the edited payload; the old one is in its time line.",
    "job-run-again": "This is the new job, with the payload and options of the old one.",
    "job-sent-before": "The form was sent twice; this is its job.",
    "job-stored": "The job is stored.",
    "job-existing": "A job with that unique key exists already: this one. No new job was stored.",
    "job-replaced": "The scheduled job with that unique key was replaced by this one.",
    "job-deleted": "The job is deleted.",
    "jobs-requeued": "Jobs requeued: {count}.",
    "jobs-requeued-some": "Jobs requeued: {count}. Passed over: {passed}, which were gone or had another status.",
    "jobs-canceled": "Jobs canceled: {count}. Running ones were asked to stop.",
    "jobs-canceled-some": "Jobs canceled: {count}. Passed over: {passed}, which were gone or had ended.",
    "jobs-deleted": "Jobs deleted: {count}.",
    "jobs-deleted-some": "Jobs deleted: {count}. Passed over: {passed}, which were gone or running.",
}


def find_notice(query: Mapping[str, str]) -> str | None:
    """Return what the page says, None for nothing; {count} and {passed} stand for numbers in the address."""
    text = NOTICES.get(query.get(NOTICE, ""))
    if text is None:
        return None
    for name in (COUNT, PASSED):
        text = text.replace(f"{{{name}}}", _write(query.get(name, "")))
    return text


def _write(number: str) -> str:
    return f"{int(number):,}" if re.fullmatch(r"[0-9]{1,9}", number) else "some"
