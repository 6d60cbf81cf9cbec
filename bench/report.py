"""The report: Markdown with the bars, a table a row, settings, versions and the machine; and a bar chart."""

import inspect
import json
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median

from bench.environments import FOLDER, ROOT, build_environment
from bench.machine import describe_machine
from bench.record import Record, read_records
from bench.verdict import OURS, Verdict, judge

CLIENTS = ("redis", "coredis", "hiredis")
CHART = Path(__file__).with_name("chart.py")


def write_report(whole: bool, rows: Sequence[str]) -> str:
    """Write `report.md` and `report.png` from what is kept, for quick runs into `.bench/`; return the text."""
    folder = ROOT / "bench" if whole else FOLDER / "quick"
    records = read_records(whole, rows)
    text = build_report(records)
    (folder / "report.md").write_text(text)
    python = build_environment(CHART, "report")
    charts = json.dumps([_describe_chart(record) for record in records])
    subprocess.run([python, CHART, folder / "report.png"], input=charts, text=True, check=True)
    return text


def build_report(records: list[Record]) -> str:
    """Return the Markdown."""
    parts = ["# Errand beside its peers", "", "By `make bench`: medians of the repeats, their range in brackets."]
    parts += ["", *(f"- {line}" for line in describe_machine())]
    parts += [f"- {record.row}: `{record.command}`, {record.measured_at}" for record in records]
    parts += ["", "![Bar chart](report.png)", "", "## The bars", "", *_write_bars(records)]
    for record in records:
        parts += ["", *_write_row(record)]
    parts += ["", "## The settings of each system", "", *_write_settings(records)]
    return "\n".join(parts) + "\n"


def _write_bars(records: list[Record]) -> list[str]:
    lines = ["| figure | bar | Errand | against | ratio | |", "|---|---|---|---|---|---|"]
    for record in records:
        row = import_module(f"bench.rows.{record.row}")
        for bar in getattr(row, "BARS", []):
            verdict = judge(bar, record)
            if verdict:
                lines.append(_write_verdict(row.TITLE, record, verdict))
    return lines


def _write_verdict(title: str, record: Record, verdict: Verdict) -> str:
    bar = verdict.bar
    limit = f"at {'most' if bar.at_most else 'least'} {bar.factor:g}"
    limit += f" × {bar.other or bar.against}" if bar.against else f" {record.units[bar.figure]}"
    other = f"{format_value(verdict.theirs)} ({verdict.rival})" if bar.against else ""
    ratio = f"{verdict.ratio:.2f}" if bar.against else ""
    cells = [f"{title}: {bar.figure}", limit, format_value(verdict.ours), other, ratio, verdict.describe()]
    return f"| {' | '.join(cells)} |"


def _write_row(record: Record) -> list[str]:
    row = import_module(f"bench.rows.{record.row}")
    figures = list(record.units)
    lines = [f"## {row.TITLE}", "", inspect.getdoc(row) or "", ""]
    lines += ["| system | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for system, values in record.values.items():
        cells = [_format_cell(values.get(figure, [])) for figure in figures]
        lines.append(f"| {'**Errand**' if system == OURS else system} | " + " | ".join(cells) + " |")
    return lines


def _write_settings(records: list[Record]) -> list[str]:
    lines = ["| system | version | settings |", "|---|---|---|"]
    seen = {name: (record.settings[name], record.versions[name]) for record in records for name in record.settings}
    for name, (settings, versions) in seen.items():
        own = [f"{package} {versions[package]}" for package in sorted(versions) if package.startswith(name)]
        client = [f"{package} {versions[package]}" for package in CLIENTS if package in versions]
        lines.append(f"| {name} | {', '.join(own + client)} | {settings} |")
    return lines


def _format_cell(values: list[float]) -> str:
    if not values:
        return ""
    middle = format_value(median(values))
    return middle if len(values) == 1 else f"{middle} ({format_value(min(values))} to {format_value(max(values))})"


def format_value(value: float) -> str:
    """Return it with three digits at least."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _describe_chart(record: Record) -> dict[str, object]:
    row = import_module(f"bench.rows.{record.row}")
    figure = next(iter(record.units))
    medians = {system: record.median(system, figure) for system in record.values}
    return {"title": f"{row.TITLE} ({figure})", "values": {name: value for name, value in medians.items() if value}}
