"""What the worker's log says of a job's end."""

import logging
import signal

from errand.contract.errors import name_type
from errand.worker.execution import Task, Word
from errand.worker.trace import read_frames, unpack_trace

logger = logging.getLogger("rq.worker")

AGAIN = {"scheduled": "will be tried again", "queued": "will be tried again", "interrupted": "goes back to its queue"}


def tell_end(word: Word, answer: str, error: BaseException | None, resent: bool) -> None:
    """Log one answer of Redis to one word; `resent` words may have been recorded the first time."""
    if answer in ("progress", "parked"):  # of those that are parked maintenance tells, all in one line
        return
    name = f"{word.task.description} {word.task.id}"
    if answer == "late":
        if not resent:
            what = "progress" if word.kind == "progress" else "end"
            logger.warning("%s: its lease was over and it went elsewhere; its %s is dropped", name, what)
    elif answer in ("canceled", "deleted"):
        logger.warning("%s: it was %s while it ran; its %s is dropped", name, answer, word.kind)
    elif word.kind == "interrupted":
        logger.warning("%s: interrupted; it goes back to the front of its queue", name)
    elif error is not None:
        fate = AGAIN.get(answer, "failed for good") if word.kind != "stopped" else "stopped"
        _log_failure(f"{name}: {fate}: {name_type(error)}", error, unpack_trace(word.value))
    else:
        logger.info("%s: %s in %.3f s", name, answer, word.ended - word.task.started)


def _log_failure(text: str, error: BaseException, trace: str) -> None:
    """Log an error with its traceback as it is stored: to format it again may run a job's code, and raise."""
    if logger.isEnabledFor(logging.ERROR):
        about = (type(error), error, read_frames(error))
        record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, "%s", (text,), about)
        record.exc_text = trace.rstrip()
        logger.handle(record)


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


def tell_late_exit(task: Task, code: int, seconds: float) -> None:
    """Log that an isolated process had to be killed after its job's end: a thread or an `atexit` callback goes on."""
    if code == -signal.SIGALRM:
        name = f"{task.description} {task.id}"
        logger.warning("%s: its process had not ended %g s after its job and is killed", name, seconds)


def describe_end(code: int) -> str:
    """Return how a process with this exit code ended, in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
