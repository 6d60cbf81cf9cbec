"""`python -m tests.chaos`: random faults against three workers, and what became of every job."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tests.chaos.chaos import Chaos
from tests.chaos.report import Findings, build_rows, write_markdown, write_text


class Interrupts:
    """Counts Ctrl-C: the first ends the faults, the second the drain, the third everything."""

    def __init__(self) -> None:
        self.count = 0
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt

    def is_first(self) -> bool:
        """Return whether the faults are to end."""
        return self.count > 0

    def is_second(self) -> bool:
        """Return whether the drain is to end as well."""
        return self.count > 1


def main() -> int:
    """Run it and print what it found; return 1 where something acknowledged was lost or ended twice."""
    given = _read_arguments()
    folder = Path(tempfile.mkdtemp(prefix="errand-chaos-"))
    print(f"seed {given.seed}; the logs are in {folder}", flush=True)
    findings = _run(given, folder)
    rows = build_rows(findings)
    print(write_text(rows))
    if given.report:
        given.report.write_text(write_markdown(rows))
    if any(row.wrong for row in rows):
        print(f"the logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 0 if findings.account.is_sound else 1


def _run(given: argparse.Namespace, folder: Path) -> Findings:
    interrupts = Interrupts()
    mean_seconds = given.minutes * 60 / given.faults if given.faults else 2.0
    chaos = Chaos(folder, given.seed, given.rate, mean_seconds, given.only)
    try:
        chaos.start(interrupts.is_first)
        # With a number of faults the minutes set the pace: a fault that finds no victim is drawn again, and takes time.
        seconds = given.minutes * 60 * (2 if given.faults else 1)
        chaos.run(seconds, given.faults, interrupts.is_first)
        return chaos.close(interrupts.is_second)
    finally:
        chaos.kill()


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults strike (5)")
    parser.add_argument("--faults", type=int, help="stop after so many, spread over about the minutes")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="draws the same faults again")
    parser.add_argument("--rate", type=float, default=20.0, help="jobs a second (20)")
    parser.add_argument("--only", default="", help="only the kinds of fault whose name holds this: frozen, Valkey, …")
    parser.add_argument("--report", type=Path, help="write the report to this file, as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
