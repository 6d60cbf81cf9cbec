"""Whether a bar is met: Errand's median beside what it is measured against."""

from dataclasses import dataclass

from bench.figure import Bar
from bench.record import Record

OURS = "errand"
NO_PEERS = (OURS, "rq", "bare")  # not held against as «fastest peer»: Errand itself, what it is made of, no queue


@dataclass(frozen=True)
class Verdict:
    """One bar with what was measured; `rival` is the peer or figure it was held against."""

    bar: Bar
    ours: float
    theirs: float
    rival: str

    @property
    def ratio(self) -> float:
        """Errand's value, divided by the other one."""
        return self.ours / self.theirs if self.theirs else float("inf")

    @property
    def met(self) -> bool:
        """Return whether it holds."""
        return self.ratio <= self.bar.factor if self.bar.at_most else self.ratio >= self.bar.factor

    def describe(self) -> str:
        """Return «met», or by how much it fell short."""
        if self.met:
            return "met"
        short = self.ratio / self.bar.factor - 1 if self.bar.at_most else 1 - self.ratio / self.bar.factor
        return f"**{short:.0%} {'over' if self.bar.at_most else 'short'}**"


def judge(bar: Bar, record: Record) -> Verdict | None:
    """Return the verdict, None where the figures for it were not measured."""
    ours = record.median(OURS, bar.figure)
    found = _find_rival(bar, record)
    return None if ours is None or found is None else Verdict(bar, ours, *found)


def _find_rival(bar: Bar, record: Record) -> tuple[float, str] | None:
    figure = bar.other or bar.figure
    if not bar.against:
        return 1.0, ""
    if bar.against != "fastest peer":
        value = record.median(bar.against, figure)
        return None if value is None else (value, bar.against if figure == bar.figure else figure)
    medians = [(record.median(name, figure), name) for name in record.values if name not in NO_PEERS]
    measured = [(value, name) for value, name in medians if value is not None]
    best = min if bar.at_most else max
    return best(measured) if measured else None
