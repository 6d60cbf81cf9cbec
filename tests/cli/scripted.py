"""Jobs and events as the API sends them, for a service that answers as scripted."""

import json
from typing import Any

ID = "bcdefa92-2fcf-4655-b44f-7846d446f290"


def make_job(status: str = "queued", id: str = ID, **more: Any) -> dict[str, Any]:
    """Return a job as the API shows it."""
    nothing = {"done": None, "total": None, "percent": None, "message": "", "updated_at": None}
    times = dict.fromkeys(("enqueued_at", "run_at", "started_at", "ended_at"))
    return {
        "id": id,
        "type": "log",
        "queue": "log",
        "status": status,
        "progress": nothing,
        "attempts": 0,
        "interruptions": 0,
        "losses": 0,
        "retries_left": 7,
        "created_at": "2026-11-23T14:17:21.698Z",
        **times,
        "result": None,
        "error": None,
        "tags": [],
        "depends_on": [],
        "dependents": [],
        "links": {"self": f"/v1/jobs/{id}"},
        **more,
    }


def make_event(name: str, id: str, data: Any) -> str:
    return f"event: {name}\nid: {id}\ndata: {json.dumps(data)}\n\n"
