"""The shape of what a server holds: keys, fields, and the formats of what is in them, less what chance makes of it."""

import json
import re
import zlib
from base64 import b64decode
from typing import Any

PASSING = (
    *("rq:scheduler-lock:", "rq:clean_", "errand:sweep", "errand:deleted:"),  # locks, and what lasts for a minute
    "errand:schedules-looked:",  # and what lasts for some seconds
    *("errand:tally", "errand:totals", "errand:stats:"),  # counts: of how many minutes there are some is chance
)
MACHINE = ("hostname", "ip_address", "python_version")
KINDS = {
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "time in milliseconds": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "time in seconds": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "number": re.compile(r"-?\d{3,}"),
    "fraction": re.compile(r"-?\d+\.\d+"),
}
REPLACED = {
    "#": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b"),
    "entry": re.compile(r"^\d{13}-\d+$"),
    "worker": re.compile(r"\b[\w-]+\.\d+\.[0-9a-f]{6}\b"),
}


class Shaper:
    """Reads one export, whose jobs and batches have names."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = {id: f"<{re.sub(r'^tick .*', 'tick', name)}>" for name, id in names.items()}
        self._any = re.compile("|".join(self._names))

    def shape(self, keys: dict[str, Any]) -> dict[str, Any]:
        """Return for each key its type, whether it lasts for ever, and the shape of what it holds."""
        shapes = {}
        for key, held in keys.items():
            name = self._name(key)
            # How many ticks there are is chance, and so whether a worker that ended is still shown.
            if not key.startswith(PASSING) and "<tick>" not in name and "death" not in held["value"]:
                lasts = not held["ttl_ms"] and not key.startswith("rq:worker:")  # those: from the first heartbeat on
                shapes[name] = (held["type"], lasts, self._shape(held["value"]))
        return shapes

    def _name(self, text: str) -> str:
        text = self._any.sub(lambda found: self._names[found[0]], text)
        for name, pattern in REPLACED.items():
            text = pattern.sub(name, text)
        return text

    def _shape(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._name(name): self._shape_field(name, held) for name, held in sorted(value.items())}
        if isinstance(value, list):  # how long it is may be chance, as with runs and drawn waits
            shapes = ("a number" if isinstance(one, int | float) else self._shape(one) for one in value)
            return sorted({json.dumps(shape, sort_keys=True) for shape in shapes})
        if isinstance(value, str):
            return self._describe_text(value)
        return type(value).__name__ if value is not None and abs(value) > 99 else value

    def _shape_field(self, name: str, value: Any) -> Any:
        if name == "return_value":  # as RQ keeps results
            return self._describe_text(b64decode(value).decode())
        return "" if name in MACHINE else self._shape(value)

    def _describe_text(self, text: str) -> Any:
        if text.startswith("base64:"):
            text = zlib.decompress(b64decode(text.removeprefix("base64:"))).decode()
        elif text.startswith("eJ"):  # packed, as RQ keeps traces
            return "packed"
        if text[:1] in ("{", "["):
            return self._shape(json.loads(text))
        text = self._name(text)
        return next((kind for kind, pattern in KINDS.items() if pattern.fullmatch(text)), text)
