"""Reading server-sent events, as the HTML standard defines them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServerSentEvent:
    """One event: a later stream can resume after its `id`; `data` is its parsed JSON."""

    id: str
    name: str
    data: Any


def read_events(lines: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream's lines; one that was cut off, or whose data is not JSON, is left out."""
    id, name, data = "", "message", list[str]()
    for line in lines:
        field, _, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if not field and not value and line.strip() == b"":
            if (found := _parse(data)) is not None:
                yield ServerSentEvent(id, name, found)
            name, data = "message", []
        elif field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def _parse(data: list[str]) -> Any:
    try:
        return json.loads("\n".join(data)) if data else None
    except ValueError:
        return None
