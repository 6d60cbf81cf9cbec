"""What was done, by what it left behind: the ledger, the mails that were taken, the log's lines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tests.chaos.account import Acknowledged, Stored
from tests.chaos.ledger import Run
from tests.support.sinks import Taken


def read_effects(
    runs: Mapping[str, list[Run]],
    taken: Iterable[Taken],
    log_lines: Iterable[str],
    acknowledged: Sequence[Acknowledged],
    stored: Mapping[str, Stored],
) -> dict[str, float]:
    """Return when the work of each job was first done, in seconds since the epoch.

    A line has the time at which its job was posted, so its job's end shows when it was written.
    """
    lines = [json.loads(line) for line in log_lines]
    effects = {line["job"]: _read_end(line, stored) for line in lines}
    by_text = {line["text"]: effects[line["job"]] for line in reversed(lines)}
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


def _read_end(line: dict[str, str], stored: Mapping[str, Stored]) -> float:
    ended_at = stored[line["job"]].ended_at if line["job"] in stored else 0.0
    return ended_at or datetime.fromisoformat(line["time"]).timestamp()
