# /// script
# dependencies = ["matplotlib"]
# ///
"""Draws the report's chart: `python chart.py FILE.png`, what to draw as JSON on standard input."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

OURS, OTHERS = "#c0392b", "#8fa3b5"
COLUMNS = 3


def main() -> None:
    """Draw one small chart a row of the bench."""
    charts = [chart for chart in json.load(sys.stdin) if len(chart["values"]) > 1]
    lines = max(1, -(-len(charts) // COLUMNS))
    figure, grid = pyplot.subplots(lines, COLUMNS, figsize=(15, 3.6 * lines), squeeze=False)
    for axes in grid.flat[len(charts) :]:
        axes.axis("off")
    for axes, chart in zip(grid.flat, charts, strict=False):
        names, values = list(chart["values"]), list(chart["values"].values())
        bars = axes.barh(names, values, color=[OURS if name == "errand" else OTHERS for name in names])
        axes.bar_label(bars, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values], padding=3)
        axes.set_title(chart["title"], fontsize=10)
        axes.invert_yaxis()
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(sys.argv[1], dpi=120)


if __name__ == "__main__":
    main()
