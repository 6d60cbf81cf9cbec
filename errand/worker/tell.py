"""What the worker's log says of a job's end."""

import json
import logging
import signal
from collections.abc import Callable

from errand.worker.execution import Task, Word
from errand.worker.logs import log_error
from errand.worker.trace import unpack_trace

Tell = Callable[[Word, str, BaseException | None, bool], None]
logger = logging.getLogger("errand.worker")

AGAIN = {"scheduled": "will be tried again", "queued": "will be tried again", "interrupted": "goes back to its queue"}
FAILURES = ("failed", "permanent")


def has_failed(word: Word) -> bool:
    """Return whether a word tells of a failure, where it was recorded as what it says and not parked."""
    return word.kind in (*FAILURES, "refused", "down") or word.kind.startswith(("unknown:", "partial:"))


def tell_end(word: Word, answer: str, error: BaseException | None, resent: bool) -> None:
    """Log one answer of Redis to one word; `resent` words may have been recorded the first time.

    A job that has failed is an error, once; an attempt that is followed by another one is a warning.
    """
    if answer in ("progress", "parked"):  # of those that are parked maintenance tells, all in one line
        return
    name = f"{word.task.description} {word.task.id}"
    if answer == "late" and resent and word.kind in FAILURES and error is not None:
        _log_failure(word, "failed, as far as could be told", error)
    elif answer == "late":
        if not resent:
            what = "progress" if word.kind == "progress" else "end"
            logger.warning("%s: its lease was over and it went elsewhere; its %s is dropped", name, what)
    elif answer in ("canceled", "deleted"):
        logger.warning("%s: it was %s while it ran; its %s is dropped", name, answer, word.kind)
    elif word.kind == "interrupted":
        logger.warning("%s: interrupted; it goes back to the front of its queue", name)
    elif answer != "finished" and has_failed(word):
        _log_failure(word, AGAIN.get(answer, "failed for good"), error)
    elif word.kind == "stopped":
        logger.info("%s: stopped on request", name)
    else:
        logger.info("%s: %s in %.3f s", name, answer, word.ended - word.task.started)


def _log_failure(word: Word, fate: str, error: BaseException | None) -> None:
    """Log a failure with its traceback as it is stored, and with the job's id, type and queue on the record."""
    task = word.task
    log_error(
        error,
        "%s %s: %s: %s",
        *(task.description, task.id, fate, json.loads(word.error)["type"]),
        level=logging.WARNING if fate in AGAIN.values() else logging.ERROR,
        trace=unpack_trace(word.value),
        extra={"job_id": task.id, "job_type": task.description, "queue": task.queue},
    )


def tell_aside(aside: list[tuple[str, str]]) -> None:
    """Log which jobs were set aside, and why."""
    for id, reason in aside:
        logger.error("Job %s is set aside: %s", id, reason)


def tell_expired(expired: list[tuple[str, str, int]]) -> None:
    """Log how many jobs of which queue and type were canceled because they had expired."""
    for queue, type, count in expired:
        logger.warning("Queue %s: %d of %s expired and are canceled", queue, count, type)


def tell_fates(fates: list[tuple[str, str]]) -> None:
    """Log what became of jobs whose process is gone: members and fates."""
    for member, fate in fates:
        id = member.rpartition(":")[0]
        if fate == "queued":
            logger.warning("Job %s was left by its process; it goes back to the front of its queue", id)
        elif fate == "failed":
            logger.error("Job %s was left by its process too often; it has failed", id)
        elif fate == "set aside":
            logger.error("Job %s was left by its process; its record can't be read, and it is set aside", id)


def tell_late_exit(task: Task, code: int) -> None:
    """Log that an isolated process had to be killed after its job's end: a thread or an `atexit` callback goes on."""
    if code == -signal.SIGALRM:
        logger.warning("%s %s: its process did not end after its job, and was killed", task.description, task.id)


def describe_end(code: int) -> str:
    """Return how a process with this exit code ended, in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
