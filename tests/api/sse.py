"""A client of server-sent events, as the HTML standard reads them."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Event:
    """One event, or a comment (`kind` is then '')."""

    kind: str
    id: str
    data: Any


class Stream:
    """An open stream of a running API."""

    def __init__(self, base_url: str, path: str, last_id: str | None = None, timeout_seconds: float = 20.0) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=timeout_seconds)
        self._connection.request("GET", path, headers={"Last-Event-ID": last_id} if last_id else {})
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields:
                yield Event(fields.get("event", ""), fields.get("id", ""), json.loads(fields.get("data", "null")))
                fields = {}
