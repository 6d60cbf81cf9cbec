"""The record of what the first request under an `Idempotency-Key` stored; the enqueue script makes it with the jobs."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rq.utils import utcformat

from errand.redis import keys

KEPT_SECONDS = 24 * 3600  # as other APIs do: clients try again for hours, not days


@dataclass(frozen=True)
class Claim:
    """One request's claim to be the first under its key: whose key it is, and the SHA-256 of what it asks for.

    `earlier` is what an earlier version may have stored in the fingerprint's place for the same request.
    """

    caller: str
    key: str
    fingerprint: str
    earlier: str | None = None

    @property
    def record(self) -> str:
        """The Redis key of the record; two callers with the same key have two records."""
        return keys.IDEMPOTENCY + hashlib.sha256(f"{self.caller}\0{self.key}".encode()).hexdigest()

    def describe(self, id: str, created_at: datetime, due_at: datetime | None) -> dict[str, Any]:
        """Return what the enqueue script is to keep, less the jobs' status, and for how long."""
        due = due_at and int(due_at.timestamp())
        record = {"id": id, "created_at": utcformat(created_at), "due": due, "fingerprint": self.fingerprint}
        return {"record": record, "kept_seconds": KEPT_SECONDS}


@dataclass(frozen=True)
class IdempotencyRecord:
    """What the first request stored: the id of its job or batch, when, when due (None: at once) and as what.

    `status` is the jobs' own, or each one's with spaces between. `unique` says that the id is
    that of another job, under its unique key: existing, or replaced.
    """

    id: str
    created_at: datetime
    run_at: datetime | None
    status: str
    fingerprint: str
    unique: str | None = None

    def list_statuses(self, count: int) -> list[str]:
        """Return the statuses of so many jobs, as they were stored."""
        words = self.status.split(" ")
        return words if len(words) == count else words * count


class StoredBeforeError(Exception):
    """Raised when a request under the same key came first; nothing more was stored. `stored` is what that did."""

    def __init__(self, stored: IdempotencyRecord) -> None:
        super().__init__(f"{stored.id} was stored first")
        self.stored = stored


def read_record(record: bytes) -> IdempotencyRecord:
    """Return a record that the script has found."""
    kept = json.loads(record)
    run_at = datetime.fromtimestamp(kept["due"], UTC) if kept["due"] else None
    created_at = datetime.fromisoformat(kept["created_at"])
    return IdempotencyRecord(kept["id"], created_at, run_at, kept["status"], kept["fingerprint"], kept.get("unique"))
