"""What the processes said: the tracebacks in their logs."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# What jobs raise here on purpose, or because the sink failed.
MEANT = re.compile(
    r"told to fail|JobTimeout|DeliveryError|ServiceDownError|UnfinishedError"
    r"|SMTP\w+Error|ConnectionRe\w+Error|Connection unexpectedly closed"
)


def count_tracebacks(logs: Iterable[Path]) -> Counter[str]:
    """Return the last lines of all tracebacks, numbers and ids left out, with how often each came."""
    found: Counter[str] = Counter()
    for path in logs:
        inside = False
        with path.open(errors="replace") as lines:
            for line in lines:
                if line.startswith("Traceback (most recent call last)"):
                    inside = True
                elif inside and line.strip() and not line.startswith((" ", "\t")):
                    inside = False
                    found[f"{path.stem.partition('-')[0]}: {_shorten(line)}"] += 1
    return found


def list_unexpected(tracebacks: Counter[str]) -> list[str]:
    """Return those that no job raised on purpose, the commonest first."""
    return [f"{count} × {line}" for line, count in tracebacks.most_common() if not MEANT.search(line)]


def _shorten(line: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "…", line.strip())[:160]
