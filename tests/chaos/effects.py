"""What was done, told by what it was done to: the ledger, the mails that were taken, the log's lines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tests.chaos.account import Acknowledged
from tests.chaos.ledger import Run
from tests.chaos.sink import Taken


def read_effects(
    runs: Mapping[str, list[Run]],
    taken: Iterable[Taken],
    log_lines: Iterable[str],
    acknowledged: Sequence[Acknowledged],
) -> dict[str, float]:
    """Return when the work of each job was first done, in seconds since the epoch."""
    lines = [json.loads(line) for line in log_lines]
    by_text = {line["text"]: datetime.fromisoformat(line["time"]).timestamp() for line in reversed(lines)}
    effects = {line["job"]: datetime.fromisoformat(line["time"]).timestamp() for line in reversed(lines)}
    for id, of_job in runs.items():
        ends = [run.end for run in of_job if run.word == "end"]
        if ends:
            effects[id] = ends[0]
    for mail in taken:
        effects.setdefault(mail.job, mail.at)
    for job in acknowledged:  # an item's last act is a job of its own, which writes this line
        finished = by_text.get(f"Finished processing item {job.number}")
        if job.shape in ("item", "process") and finished:
            effects[job.id] = finished
    return effects
