"""Errors in the forms that are stored: RQ's compressed traceback, and the status's type and message."""

import sysconfig
import traceback
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from types import FrameType, TracebackType

from errand.contract.errors import name_type, read_message

LIMIT = 64 * 1024
FRAME_LIMIT = 200
# Where code lies that is no job's: Python's own, the packages that are installed, and this one.
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(__file__).parents[1]), "<")
_INSTALLED = ("site-packages", "dist-packages")


def format_trace(error: BaseException) -> str:
    """Return the traceback as text that UTF-8 can hold, its middle left out where it is very long."""
    text = _format(error).encode("utf-8", "replace").decode()
    return text if len(text) <= LIMIT else f"{text[: LIMIT // 2]}\n…\n{text[-LIMIT // 2 :]}"


def _format(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # what is read there may be a job's code: __cause__, __notes__, a SyntaxError's fields
        frames = traceback.format_tb(read_frames(error))
        head = "Traceback (most recent call last):\n" if frames else ""
        return f"{head}{''.join(frames)}{name_type(error)}: {read_message(error)}\n"


def read_frames(error: BaseException) -> TracebackType | None:
    """Return an error's frames as the interpreter has noted them: its class may have another `__traceback__`."""
    frames: TracebackType | None = vars(BaseException)["__traceback__"].__get__(error)
    return frames


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
    """Return whether a file, by the path that a traceback tells, is the job's own and no library's."""
    return not path.startswith(_LIBRARIES) and not any(f"/{name}/" in path for name in _INSTALLED)


def _name_file(frame: FrameType) -> str:
    """Return a file by its module's name, for its path tells of the machine."""
    path, module = Path(frame.f_code.co_filename), frame.f_globals.get("__name__")
    if type(module) is not str or module == "__main__":
        return path.name
    return f"{module.replace('.', '/')}{'/__init__' if path.stem == '__init__' else ''}.py"


def pack_trace(text: str) -> str:
    """Return a traceback as RQ 3.0.0 keeps it in a result (Result.serialize)."""
    return b64encode(zlib.compress(text.encode())).decode()


def unpack_trace(packed: str) -> str:
    """Return the text of a packed traceback."""
    return zlib.decompress(b64decode(packed)).decode()


LOST_TRACE = pack_trace("Lost: the process that ran it died again and again; what it ran seems to end it")
