"""What was asked of a job, and what stands beside it: its webhooks, and the payloads that it had before."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis

from errand.contract.job import Job
from errand.redis import keys

FIELDS = (
    *("description", "status", "created_at", "timeout", "retry_intervals", "enqueue_at_front", "rate_limit_key"),
    *("rate_limit_concurrency", "errand_backoff", "errand_tags", "errand_webhook", "errand_batch", "errand_expires_at"),
    *("errand_attempts", "errand_requeue", "errand_partial", "errand_edits"),
)


@dataclass(frozen=True)
class Edit:
    """A change of a job's payload, after so many attempts; `payload` is the one before it, packed."""

    at: str
    attempts: int
    payload: bytes


@dataclass(frozen=True)
class Record:
    """What of a job's hash the other readers leave out; a field that is not there is ''."""

    id: str
    fields: Mapping[str, str]

    @property
    def type(self) -> str:
        """The job's type."""
        return self.fields["description"]

    @property
    def may_requeue(self) -> bool:
        """Whether it may be queued again: it has ended without success, or with a part of its work undone."""
        status = self.fields["status"]
        return status in keys.ENDED_BADLY or (status == "finished" and bool(self.fields["errand_partial"]))

    @property
    def webhook(self) -> str:
        """The URL that it was stored with, '' where it has none of its own."""
        return self.fields["errand_webhook"]

    def list_webhook_ids(self) -> list[str]:
        """Return the ids of the webhooks that report its end: its own, and that of its batch if it was the last of it.

        They are jobs, made when it ended (lib/webhook.lua, where `derive_id` is); a requeue makes other ids.
        """
        end = [self.id, self.fields["status"], self.fields["errand_attempts"], self.fields["errand_requeue"]]
        batch = self.fields["errand_batch"]
        return [_derive_id(*end), *([_derive_id(batch, *end)] if batch else [])]

    def read_options(self, type: Job[..., Any]) -> dict[str, Any]:
        """Return what else was asked of it, as arguments of a NewJob that may run at once.

        What it waited for, its batch and its unique key are not among it. Raises ValueError for a damaged record.
        """
        found = self.fields
        limit = found["rate_limit_key"], int(found["rate_limit_concurrency"] or 1)
        options = {
            "tags": tuple(map(str, json.loads(found["errand_tags"] or "[]"))),
            "at_front": found["enqueue_at_front"] == "1",
            "limit": limit if limit[0] else None,
            "webhook": found["errand_webhook"] or None,
            "expires_in_seconds": self._read_expiry(),
            "timeout_seconds": int(found["timeout"]) if found["timeout"] else None,
            "tries": self._count_tries(),
        }
        usual = {"timeout_seconds": type.timeout_seconds, "tries": type.retry.retries + 1}
        return {name: None if value == usual.get(name) else value for name, value in options.items()}

    def read_edits(self) -> list[Edit]:
        """Return the changes of its payload, oldest first; none where they can't be read."""
        try:
            entries = json.loads(self.fields["errand_edits"] or "[]")
            return [Edit(str(one["at"]), int(one["attempts"]), b64decode(one["payload"])) for one in entries]
        except (ValueError, TypeError, KeyError):
            return []

    def _read_expiry(self) -> float | None:
        until, since = self.fields["errand_expires_at"], self.fields["created_at"]
        if not until or not since:
            return None
        return max(1.0, (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())

    def _count_tries(self) -> int:
        if self.fields["errand_backoff"]:
            return int(json.loads(self.fields["errand_backoff"])["retries"]) + 1
        return len(json.loads(self.fields["retry_intervals"] or "[]")) + 1


def _derive_id(*parts: str) -> str:
    digest = sha1(" ".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


class RecordReader:
    """Reads records over one asynchronous client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, id: str) -> Record | None:
        """Return what was asked of a job, None where there is none. Raises RedisError."""
        values: list[Any] = await self._redis.hmget(keys.JOB + id, FIELDS)
        if values[FIELDS.index("status")] is None:
            return None
        texts = [(value or b"").decode(errors="replace") for value in values]
        return Record(id, dict(zip(FIELDS, texts, strict=True)))
