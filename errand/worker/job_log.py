"""What the worker's log says about jobs."""

import json
import logging
import signal
from collections.abc import Callable

from errand.worker.execution import Execution
from errand.worker.logs import log_end, log_error
from errand.worker.report import Report
from errand.worker.trace import unpack_trace

LogOutcome = Callable[[Report, str, BaseException | None, bool], None]
logger = logging.getLogger("errand.worker")

AGAIN = {"scheduled": "will be tried again", "queued": "will be tried again", "interrupted": "goes back to its queue"}
FAILURES = ("failed", "permanent")


def has_failed(report: Report) -> bool:
    """Return whether a report is a failure, if it was recorded as that and its job not parked."""
    return report.kind in (*FAILURES, "refused", "down") or report.kind.startswith(("unknown:", "partial:"))


def log_outcome(report: Report, answer: str, error: BaseException | None, resent: bool) -> None:
    """Log what came of a report, by Redis' answer; one that was `resent` may have been recorded the first time.

    A job that has failed is an error, once; an attempt that is followed by another one is a warning.
    """
    if answer in ("progress", "parked"):  # maintenance logs those that are parked, all in one line
        return
    name, about = f"{report.execution.description} {report.execution.job_id}", describe_execution(report.execution)
    if answer == "late" and resent and report.kind in FAILURES and error is not None:
        _log_failure(report, "failed, as far as is known", error)
    elif answer == "late":
        if not resent:
            what = "progress" if report.kind == "progress" else "end"
            logger.warning("%s: its lease was over and it went elsewhere; its %s is dropped", name, what, extra=about)
    elif answer in ("canceled", "deleted"):
        logger.warning("%s: it was %s while it ran; its %s is dropped", name, answer, report.kind, extra=about)
    elif report.kind == "interrupted":
        logger.warning("%s: interrupted; it goes back to the front of its queue", name, extra=about)
    elif answer != "finished" and has_failed(report):
        _log_failure(report, AGAIN.get(answer, "failed for good"), error)
    elif report.kind == "stopped":
        logger.info("%s: stopped on request", name, extra=about)
    else:
        log_end("%s: %s in %.3f s", name, answer, report.ended - report.execution.started, extra=about)


def _log_failure(report: Report, fate: str, error: BaseException | None) -> None:
    """Log a failure as its error's type and place: its message may hold a payload, and its traceback is kept.

    The record has the error and its traceback as well, for those who take records elsewhere.
    """
    execution, kind = report.execution, json.loads(report.error)["type"]
    log_error(
        error,
        "%s %s: %s: %s%s",
        *(execution.description, execution.job_id, fate, kind, f", {report.frame}" if report.frame else ""),
        level=logging.WARNING if fate in AGAIN.values() else logging.ERROR,
        trace=unpack_trace(report.value),
        extra={**describe_execution(execution), "error_type": kind, "frame": report.frame},
    )


def describe_execution(execution: Execution) -> dict[str, object]:
    """Return what the log's records of a job have besides their text."""
    return {
        "job_id": execution.job_id,
        "job_type": execution.description,
        "attempt": execution.attempt,
        "queue": execution.queue,
    }


def log_quarantined(quarantined: list[tuple[str, str]]) -> None:
    """Log which jobs are quarantined, and why."""
    for id, reason in quarantined:
        logger.error("Job %s is quarantined: %s", id, reason, extra={"job_id": id})


def log_expired(expired: list[tuple[str, str, int]]) -> None:
    """Log how many jobs of which queue and type were canceled because they had expired."""
    for queue, type, count in expired:
        logger.warning("Queue %s: %d of %s expired and are canceled", queue, count, type)


def log_fates(fates: list[tuple[str, str]]) -> None:
    """Log what became of jobs whose process is gone: members and fates."""
    for member, fate in fates:
        id = member.rpartition(":")[0]
        about = {"job_id": id}
        if fate == "queued":
            logger.warning("Job %s was left by its process; it goes back to the front of its queue", id, extra=about)
        elif fate == "failed":
            logger.error("Job %s was left by its process too often; it has failed", id, extra=about)
        elif fate == "quarantined":
            text = "Job %s was left by its process; its record can't be read, and it is quarantined"
            logger.error(text, id, extra=about)


def log_late_exit(execution: Execution, code: int) -> None:
    """Log that an isolated process had to be killed after its job's end: a thread or an `atexit` callback goes on."""
    if code == -signal.SIGALRM:
        text = "%s %s: its process did not end after its job, and was killed"
        logger.warning(text, execution.description, execution.job_id, extra=describe_execution(execution))


def describe_end(code: int) -> str:
    """Return how a process with this exit code ended, in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
