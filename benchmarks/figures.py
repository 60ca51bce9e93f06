"""One line of the table: what was measured, the goal, the result."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured figure beside its goal."""

    what: str
    measured: float
    sign: str = ""  #: ">=", "<" or "<=": how the figure should stand to the goal
    goal: float | None = None  #: None = no goal
    form: str = "{:,.1f}"  #: of both, with the unit
    how: str = ""  #: spread, CPU seconds, sizes

    @property
    def is_met(self) -> bool:
        """Whether the goal is met; without a goal there is nothing to miss."""
        if self.goal is None:
            return True
        compare = {">=": operator.ge, "<": operator.lt, "<=": operator.le}[self.sign]
        return bool(compare(self.measured, self.goal))


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A figure that could not be measured here."""

    what: str
    why: str


Line = Figure | NotRun

HEAD = "| what | goal | measured | | how |\n| --- | ---: | ---: | --- | --- |\n"


def line(entry: Line) -> str:
    """Write one line of the table, which is Markdown."""
    if isinstance(entry, NotRun):
        return f"| {entry.what} | | | not run: {entry.why} | |\n"
    measured = entry.form.format(entry.measured)
    if entry.goal is None:
        return f"| {entry.what} | | {measured} | | {entry.how} |\n"
    goal, state = entry.form.format(entry.goal), "met" if entry.is_met else "NOT MET"
    return f"| {entry.what} | {entry.sign} {goal} | {measured} | {state} | {entry.how} |\n"


def spread(values: Sequence[float], form: str = "{:,.1f}") -> str:
    """Write the median with the smallest and the largest: `4,102 (3,950-4,300)`."""
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}-{high})"
