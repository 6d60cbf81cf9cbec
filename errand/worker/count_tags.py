"""What an attempt's end is counted under: its type, and how long it waited and ran."""

import re
from bisect import bisect_left
from collections.abc import Container
from datetime import datetime

from errand.redis import keys
from errand.worker.execution import Execution

_BOUNDS = keys.TALLY_BOUNDS
_TYPE = re.compile(r"[a-z][a-z0-9_]*")
_CALL = re.compile(r"jobs\.([a-z][a-z0-9_]*)\.run\.perform\(")


def tag_end(execution: Execution, ended: float, types: Container[str] | None) -> tuple[str, int]:
    """Return `type|wait|run`, as the scripts count it (lib/observe/tally.lua), and the microseconds that it waited.

    `wait` and `run` are indexes into keys.TALLY_BOUNDS. It waited since it came into its queue. A type that is not one
    of `types`, if these are given, is `other`: anybody may store any.
    """
    wait_seconds = _read_wait(execution)
    wait, run = bisect_left(_BOUNDS, wait_seconds), bisect_left(_BOUNDS, ended - execution.started)
    type = execution.description
    if types is None or type not in types:
        type = _name_other(type, types)
    return f"{type}|{wait}|{run}", int(wait_seconds * 1_000_000)


def _read_wait(execution: Execution) -> float:
    try:
        queued = datetime.fromisoformat(execution.times.enqueued_at or execution.times.created_at).timestamp()
    except ValueError:  # nobody noted it, or somebody else did
        return 0.0
    return max(0.0, execution.started - queued)


def _name_other(description: str, types: Container[str] | None) -> str:
    found = _CALL.match(description)
    type = found[1] if found else description
    return type if (types is None and _TYPE.fullmatch(type)) or (types is not None and type in types) else "other"
