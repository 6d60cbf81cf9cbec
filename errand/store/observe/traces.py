"""Tracebacks as a person on call reads them: the error first, the job's own frames, the libraries' folded."""

import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field

from errand.redis import keys
from errand.store.observe.bounded import TooLargeError, unzip
from errand.store.observe.frames import is_own_anywhere

_UNSHOWN = f"(a traceback of more than {keys.TRACE_BYTES:,} bytes, which is not shown)"

_START = "Traceback (most recent call last):"
_GROUP = "Exception Group Traceback (most recent call last):"
_CUT = "…"  # where the worker left out the middle of a very long one
_LINK = re.compile(
    r"\n(During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\n\n"
)
_BEFORE = {"D": "While handling:", "T": "Caused by:"}  # by how the line begins that stands between the two
_FRAME = re.compile(r'(?P<margin>[ |]*)  File "(?P<path>.+)", line (?P<line>\d+), in (?P<function>.+)')
_AGAIN = re.compile(r" *\[Previous line repeated (\d+) more times?\]")


@dataclass
class Frame:
    """One frame of a traceback: its lines, and how often it stands there."""

    margin: str
    path: str
    place: str
    lines: list[str] = field(default_factory=list)
    times: int = 1


def read_trace(packed: str) -> str | None:
    """Return the text of a traceback as RQ 3.0.0 packs it (Result.serialize), None where it can't be read.

    In the place of one that is too large stands a line that says so.
    """
    if packed == keys.TOO_LARGE:
        return _UNSHOWN
    try:
        return unzip(b64decode(packed), keys.TRACE_BYTES).decode(errors="replace")
    except TooLargeError:
        return _UNSHOWN
    except ValueError:
        return None


def fold_trace(text: str) -> str:
    """Return a traceback with the error first, then the job's own frames, and how many are of libraries.

    Of chained errors the last one comes first. The frames of an exception group stay where they are. What does not look
    like Python's text comes back as it is.
    """
    first, *rest = _LINK.split(text.rstrip("\n"))
    shown = [_fold_one(first)]
    for link, block in zip(rest[::2], rest[1::2], strict=True):
        shown = [_fold_one(block), f"{_BEFORE[link[0]]}\n{shown[0]}", *shown[1:]]
    return "\n\n".join(shown)


def _fold_one(block: str) -> str:
    lines = block.splitlines()
    if any(line.endswith(_GROUP) for line in lines):
        return "\n".join(_fold_in_place(lines))
    if not lines or lines[0] != _START:
        return block
    end = _find_error(lines)
    frames = [part for part in _read_frames(lines[1:end]) if isinstance(part, Frame)]
    if not frames or end == len(lines):
        return block
    own = [line for frame in frames if is_own_anywhere(frame.path) for line in frame.lines]
    folded = [frame for frame in frames if not is_own_anywhere(frame.path)]
    return "\n".join([*lines[end:], *own, *_describe_folded(folded)])


def _find_error(lines: list[str]) -> int:
    """Return where the frames end, and the error begins."""
    for number, line in enumerate(lines[1:], 1):
        if not line.startswith("  ") and line not in ("", _CUT) and lines[number - 1] != _CUT:
            return number
    return len(lines)


def _read_frames(lines: Iterable[str]) -> list[Frame | str]:
    """Return the frames among the lines; what belongs to none is left as a line."""
    parts: list[Frame | str] = []
    for line in lines:
        last = parts[-1] if parts else ""
        if found := _FRAME.fullmatch(line):
            path = found["path"]
            place = f"{path.rpartition('/')[2]}:{found['line']} in {found['function']}"
            parts.append(Frame(found["margin"], path, place, [line]))
        elif isinstance(last, Frame) and line.startswith(last.margin + "   "):
            last.lines.append(line)
        elif isinstance(last, Frame) and (again := _AGAIN.fullmatch(line.removeprefix(last.margin))):
            last.lines.append(line)
            last.times += int(again[1])
        else:
            parts.append(line)
    return parts


def _fold_in_place(lines: Iterable[str]) -> list[str]:
    shown: list[str] = []
    folded: list[Frame] = []
    for part in _read_frames(lines):
        if isinstance(part, Frame) and not is_own_anywhere(part.path):
            folded.append(part)
            continue
        shown += _describe_folded(folded)
        shown += part.lines if isinstance(part, Frame) else [part]
        folded = []
    return shown + _describe_folded(folded)


def _describe_folded(frames: list[Frame]) -> list[str]:
    if not frames:
        return []
    count, last = sum(frame.times for frame in frames), frames[-1]
    shown = "1 frame of a library" if count == 1 else f"{count:,} frames of libraries, the last"
    return [f"{last.margin}  … {shown} at {last.place}"]
