"""The contract's errors, how one is shown in a job's status, and where in the job's own code it came from."""

import json
import math
import sysconfig
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

MESSAGE_LIMIT = 2_000  # characters: enough to find the fault by, and each read of a status carries them
FRAME_LIMIT = 200  # characters of a file, a line and a function
# Where code lies that is no job's: Python's own, the packages that are installed, and this one.
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(__file__).parents[1]), "<")
_INSTALLED = ("site-packages", "dist-packages")


class ContractError(Exception):
    """Raised when a job file breaks the contract; the text names the file, the parameter and the fix."""


class OutsideJobError(RuntimeError):
    """Raised by what only a running job has, in a process that runs jobs, where none is found: in a thread of one.

    RQ's note of the running job is a context variable, and a new thread begins without those of the one that starts it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; in a thread that a job starts, run the function in a copy of the job's context: "
            "asyncio.to_thread(function) does it; elsewhere give the thread or the executor "
            "contextvars.copy_context().run and the function"
        )


class NotFiniteError(ValueError):
    """Raised when a payload holds a number that JSON has no form for."""


class PermanentError(Exception):
    """Raised when trying again can't help: the job fails at once and spends no retries."""


class InvalidPayloadError(PermanentError):
    """Raised when a stored payload no longer fits its job, after a deploy for example.

    `is_stored` where it was found before the job began: a worker with other code of its type may still run it.
    """

    is_stored = False


class ExpiredError(PermanentError):
    """Raised when a job's time is over (`expires_in_seconds`): it ends as `canceled`, with the error type `Expired`.

    Under a plain `rq worker` it ends as `failed`.
    """


ExpiredError.__name__ = ExpiredError.__qualname__ = "Expired"  # what the status shows


class ServiceDownError(Exception):
    """Raised when what a job works with (a mail server, a log file) can't be used now, by this job or any other.

    The job is not at fault: no try is spent, and the jobs of its type wait until one of them finds it up again. The
    text says what is down and why, without secrets. Under a plain `rq worker` it is an error like any other.
    """


class UnfinishedError(Exception):
    """Raised when a part of the work is done and another try may do the rest.

    Where no try is left the job finishes, with `result`.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class RetryLaterError(Exception):
    """Raised when another try makes no sense before `delay_seconds` have passed: the next one waits at least so long.

    The try counts like any other. Under a plain `rq worker` only the job's own wait counts.
    """

    def __init__(self, message: str, delay_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.delay_seconds = delay_seconds


class ResultError(PermanentError):
    """Raised when what `run` returned can't be kept as its result."""


def describe_error(error: BaseException) -> str:
    """Return an error as the status shows it: JSON of its type and the beginning of its message."""
    return write_json({"type": name_type(error), "message": read_message(error)})


def name_type(error: BaseException) -> str:
    """Return the name of an error's class, as it was written: a metaclass may give it another one, or raise."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def read_message(error: BaseException) -> str:
    """Return the beginning of an error's text; where there is none (`__str__` is a job's code), say so."""
    try:
        return str.__getitem__(str(error), slice(MESSAGE_LIMIT))
    except BaseException as fault:  # whatever it is, the job has ended with `error`
        return f"(it has no text: its __str__() raised {name_type(fault)})"


def holds(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an error is of a kind, or a group that holds one: what a task of an `asyncio.TaskGroup` raises."""
    if not issubclass(type(error), BaseExceptionGroup):
        return issubclass(type(error), kind)  # isinstance() asks `__class__`, which may be a job's code
    seen: set[int] = set()
    groups = [error]
    while groups:
        for held in BaseExceptionGroup.exceptions.__get__(groups.pop()):
            if issubclass(type(held), kind):
                return True
            if issubclass(type(held), BaseExceptionGroup) and id(held) not in seen:
                seen.add(id(held))
                groups.append(held)
    return False


def write_json(shown: dict[str, Any]) -> str:
    """Return JSON that any reader takes: numbers of other libraries as floats, broken Unicode (file names) replaced."""
    text = json.dumps(shown, default=float, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def read_frames(error: BaseException) -> TracebackType | None:
    """Return an error's frames as the interpreter has noted them: its class may have another `__traceback__`."""
    frames: TracebackType | None = vars(BaseException)["__traceback__"].__get__(error)
    return frames


def read_delay(error: BaseException) -> float:
    """Return for how many seconds the next try has to wait at least, 0 for an error that does not say it."""
    if not issubclass(type(error), RetryLaterError):
        return 0.0
    seconds = BaseException.__getattribute__(error, "__dict__").get("delay_seconds", 0.0)
    return float(seconds) if type(seconds) in (int, float) and 0 < seconds < math.inf else 0.0


def find_frame(error: BaseException) -> str:
    """Return where in the job's own code an error came from, «jobs/sms.py:12 in send», "" where no frame is its own.

    It is the innermost frame whose file is neither Python's, nor an installed package's, nor this library's.
    """
    found, frames = "", read_frames(error)
    while frames is not None:
        if is_own(frames.tb_frame.f_code.co_filename):
            found = f"{_name_file(frames.tb_frame)}:{frames.tb_lineno} in {frames.tb_frame.f_code.co_name}"
        frames = frames.tb_next
    return found.encode("utf-8", "replace").decode().replace("\n", " ")[:FRAME_LIMIT]


def is_own(path: str) -> bool:
    """Return whether a file, by the path in a traceback, is the job's own and no library's."""
    return not path.startswith(_LIBRARIES) and not any(f"/{name}/" in path for name in _INSTALLED)


def _name_file(frame: FrameType) -> str:
    """Return a file by its module's name, since its path says something of the machine."""
    path, module = Path(frame.f_code.co_filename), frame.f_globals.get("__name__")
    if type(module) is not str or module == "__main__":
        return path.name
    return f"{module.replace('.', '/')}{'/__init__' if path.stem == '__init__' else ''}.py"
