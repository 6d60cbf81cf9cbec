"""Errors that end a command, in the words of the person who typed it."""

from collections.abc import Mapping
from typing import Any

# Where the command line has another word for what the API calls a parameter or a header.
OPTIONS = {
    "run_at": "--at",
    "delay_seconds": "--delay",
    "at_front": "--front",
    "Idempotency-Key": "--key",
    "created_after": "--since",
    "created_before": "--until",
    "failed_after": "--since",
    "failed_before": "--until",
    "every_seconds": "--every",
}
NO_KEY = "ERRAND_KEY is not set, and this service wants a key; set ERRAND_KEY=errand_… (`errand key NAME` makes one)"
WRONG_KEY = "the service does not know the key in ERRAND_KEY; set one that its API_KEYS lists"


class ClientError(Exception):
    """Ends the command: its text goes to the error output, `code` is the exit code."""

    code = 1


class WrongUsageError(ClientError):
    """Raised for wrong options, arguments or settings."""

    code = 2


class AwayError(ClientError):
    """Raised for no answer, a 5xx, or one that can't be read.

    `final`: sending the request again would not help. `arrived`: it may have reached the service.
    """

    code = 4

    def __init__(self, text: str, final: bool = False, arrived: bool = True) -> None:
        super().__init__(text)
        self.final, self.arrived = final, arrived


class RequestRefusedError(ClientError):
    """Raised for a 4xx answer; `name` is its problem type without the prefix that all of them share."""

    code = 3

    def __init__(self, status: int, problem: Mapping[str, Any], has_key: bool, more: str = "") -> None:
        super().__init__("\n".join(filter(None, (_describe(status, problem, has_key), more))))
        self.status, self.problem, self.has_key = status, problem, has_key
        self.name = str(problem.get("type", "")).rpartition(":")[2]


def _describe(status: int, problem: Mapping[str, Any], has_key: bool) -> str:
    if status == 401:
        return WRONG_KEY if has_key else NO_KEY
    if not problem:
        return f"the answer was {status}, and it is not Errand's: is ERRAND_URL right, the path that it ends with too?"
    detail = str(problem.get("detail") or problem.get("title") or status)
    faults = [(_locate(fault), str(fault.get("detail", ""))) for fault in problem.get("errors") or []]
    width = max((len(where) for where, _ in faults), default=0)
    return "\n".join([detail.removesuffix("; see errors"), *(f"  {where:<{width}}  {what}" for where, what in faults)])


def _locate(fault: Mapping[str, Any]) -> str:
    """Return where a fault lies: the option, or the field's path in the payload (`items/7/to`)."""
    if name := fault.get("parameter"):
        return OPTIONS.get(str(name), "--" + str(name).replace("_", "-"))
    return str(fault.get("pointer", "")).removeprefix("#").removeprefix("/") or "payload"
