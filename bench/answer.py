"""What Errand answers, for the application without a queue to answer as much: the same fields, the same size."""

import json
from typing import Any

ID = "500f3b3a-6914-470d-9cd2-3b7feb495dbe"
MOST_APART = 0.02  # of its JSON: times and ids differ from answer to answer, fields do not

_ALWAYS: dict[str, Any] = {
    "id": ID,
    "type": "email",
    "queue": "email",
    "status": "queued",
    "progress": {"done": None, "total": None, "percent": None, "message": "", "updated_at": None},
    "attempts": 0,
    "interruptions": 0,
    "losses": 0,
    "retries_left": 7,
    "created_at": "2026-11-23T15:28:34.259127Z",
    "enqueued_at": "2026-11-23T15:28:34.259127Z",
    "run_at": None,
    "started_at": None,
    "ended_at": None,
    "result": None,
    "error": None,
    "tags": [],
    "depends_on": [],
    "dependents": [],
    "links": {"self": f"/v1/jobs/{ID}"},
}
POSTED = _ALWAYS
FINISHED: dict[str, Any] = {
    **_ALWAYS,
    "type": "noop",
    "queue": "default",
    "status": "finished",
    "progress": {"done": None, "total": None, "percent": 100, "message": "", "updated_at": None},
    "attempts": 1,
    "started_at": "2026-11-23T15:28:34.259127Z",
    "ended_at": "2026-11-23T15:28:34.259127Z",
    "result": 1,
}


class OtherSizeError(Exception):
    """Raised when Errand's answer is no longer as long as the one here."""


def check_size(answer: dict[str, Any], sample: dict[str, Any]) -> None:
    """Raise OtherSizeError where the lengths of their JSON differ by more than 2 %."""
    ours, theirs = len(json.dumps(answer)), len(json.dumps(sample))
    if abs(ours - theirs) > MOST_APART * ours:
        raise OtherSizeError(f"bench/answer.py: Errand answers {ours} bytes, the sample has {theirs}: {answer}")
