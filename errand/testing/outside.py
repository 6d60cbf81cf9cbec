"""What jobs would send to other hosts, kept in the test's memory: webhooks and log lines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from errand.log.line import LogLine
from errand.webhook.request import Answer
from errand.webhook.retry_after import STATUSES


@dataclass(frozen=True)
class SentWebhook:
    """A webhook as it was posted; `data` is its body's, `headers` hold id, time and signature."""

    url: str
    type: str
    timestamp: str
    data: dict[str, Any]
    headers: dict[str, str]
    body: bytes = field(repr=False)


class MemoryReceiver:
    """Takes webhooks in place of their hosts, and answers with `status`.

    With 429 and 503 it asks to wait `retry_after_seconds`.
    """

    def __init__(self) -> None:
        self.webhooks: list[SentWebhook] = []
        self.status = 200
        self.retry_after_seconds = 0.0

    def post(self, url: str, body: bytes, headers: Mapping[str, str], allow_private: bool) -> Answer:
        """Keep a webhook; return the answer. It replaces errand.webhook.request.post."""
        event = json.loads(body)
        self.webhooks.append(SentWebhook(url, event["type"], event["timestamp"], event["data"], dict(headers), body))
        return Answer(self.status, self.retry_after_seconds if self.status in STATUSES else 0.0)


class MemorySink:
    """Takes the lines of the log job."""

    name = "the test's memory"

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def write(self, lines: Sequence[LogLine]) -> None:
        """Keep lines."""
        self.lines += lines
