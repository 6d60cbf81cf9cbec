"""The ids in a request's path: what can be one, and the 404 for one that names nothing."""

import re

from errand.api.http.problems import Problem

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_id(id: str, kind: str) -> str:
    """Return an id that can exist. Raises Problem 404 for anything but a UUID."""
    if not _UUID.fullmatch(id):
        raise missing(id, kind)
    return id


def missing(id: str, kind: str) -> Problem:
    """Return the 404 for a job or a batch that is unknown or has expired."""
    return Problem(404, f"no-such-{kind}", f"There is no {kind} {id[:64]!r}; it may have expired")
