"""What is measured and what it must reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One measured value: `figure` names what it is within its row («one worker»), `unit` what it counts in."""

    figure: str
    value: float
    unit: str


@dataclass(frozen=True)
class Bar:
    """What Errand's median of `figure` must be: `factor` times what it is measured against.

    `against` is "fastest peer", the name of a system, or "" (then `factor` is the value itself); `other` is the figure
    there, where it is another. `at_most` is for figures of which less is better.
    """

    figure: str
    factor: float
    against: str = "fastest peer"
    other: str = ""
    at_most: bool = False
