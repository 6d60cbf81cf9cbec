"""`python -m bench [SYSTEM …] [--rows drain,post] [--repeats 3]`: measures, keeps what it found, and writes the report.

The systems take turns (A, B, C, then A again), so that a slow minute of the machine falls on all of them.
"""

import argparse
import signal
import sys
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType

from bench.figure import Result
from bench.record import Record, write_record
from bench.report import write_report
from bench.system import System, prepare_system

SYSTEMS = ("errand", "rq", "celery", "dramatiq", "arq", "saq", "taskiq", "streaq", "huey")
ROWS = ("drain", "nap", "latency", "post", "batch", "read", "mail", "log", "memory", "growth")


def main() -> int:
    """Measure what was asked for."""
    given = _read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by SIGTERM"))  # its blocks end processes
    whole = not given.systems
    with ExitStack() as stack:
        prepared: dict[str, System] = {}
        for name in given.rows:
            row = import_module(f"bench.rows.{name}")
            for system in _choose_systems(row, given.systems):
                if system not in prepared:
                    prepared[system] = stack.enter_context(prepare_system(system))
            systems = [prepared[system] for system in _choose_systems(row, given.systems)]
            write_record(_measure(row, systems, given.repeats), whole)
    print(write_report(whole, ROWS if whole else given.rows))
    return 0


def _measure(row: ModuleType, systems: list[System], repeats: int) -> Record:
    record = Record.open(row.NAME, systems)
    for number in range(min(repeats, getattr(row, "REPEATS", repeats))):
        for system in systems:
            results: list[Result] = row.measure(system)
            record.add(system.name, results)
            figures = ", ".join(f"{result.figure} {result.value:,.4g} {result.unit}" for result in results)
            print(f"{row.NAME} {number + 1} {system.name}: {figures}", flush=True)
    return record


def _choose_systems(row: ModuleType, asked: list[str]) -> list[str]:
    """Return those of the row that were asked for; a system that is no peer («bare») is part of its row."""
    names = getattr(row, "SYSTEMS", SYSTEMS)
    return [name for name in names if not asked or name in asked or name not in SYSTEMS]


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"{', '.join(SYSTEMS)}; none: all")
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(ROWS), help=",".join(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for wrong in set(given.systems) - set(SYSTEMS):
        parser.error(f"there is no system {wrong}; choose from {', '.join(SYSTEMS)}")
    for wrong in set(given.rows) - set(ROWS):
        parser.error(f"there is no row {wrong}; choose from {', '.join(ROWS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
