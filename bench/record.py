"""What one row's run found, as it is kept in `.bench/`."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.environments import FOLDER, read_versions
from bench.figure import Result
from bench.system import System


@dataclass
class Record:
    """Values by system and figure, one for each repeat; and the settings and versions of each system."""

    row: str
    measured_at: str
    command: str
    units: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, row: str, systems: list[System]) -> "Record":
        """Begin one for these systems."""
        command = " ".join(["python -m bench", *sys.argv[1:]])
        record = cls(row, datetime.now(UTC).isoformat(timespec="seconds"), command)
        for system in systems:
            record.settings[system.name] = system.read_settings()
            record.versions[system.name] = read_versions(system.python)
        return record

    def add(self, system: str, results: list[Result]) -> None:
        """Take in what one run of one system gave."""
        for result in results:
            self.units[result.figure] = result.unit
            self.values.setdefault(system, {}).setdefault(result.figure, []).append(result.value)

    def median(self, system: str, figure: str) -> float | None:
        """Return the median of the repeats, None where it was not measured."""
        found = self.values.get(system, {}).get(figure)
        return median(found) if found else None


def write_record(record: Record, whole: bool) -> None:
    """Keep it in place of the one before; quick runs of some systems are kept apart from whole ones."""
    folder = _choose_folder(whole)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{record.row}.json").write_text(json.dumps(asdict(record), indent=1))


def read_records(whole: bool, rows: Iterable[str]) -> list[Record]:
    """Return what is kept of these rows, in their order."""
    files = [_choose_folder(whole) / f"{row}.json" for row in rows]
    return [Record(**json.loads(file.read_text())) for file in files if file.exists()]


def _choose_folder(whole: bool) -> Path:
    return FOLDER / ("results" if whole else "quick")
