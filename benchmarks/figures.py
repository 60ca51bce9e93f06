"""One line of the table: what was measured, the goal, what came out."""

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
    sign: str  #: ">=", "<" or "<=": how the figure should stand to the goal
    goal: float
    form: str = "{:,.1f}"  #: of both, with the unit
    how: str = ""  #: spread, CPU seconds, sizes

    @property
    def is_met(self) -> bool:
        """Whether the goal is met."""
        compare = {">=": operator.ge, "<": operator.lt, "<=": operator.le}[self.sign]
        return bool(compare(self.measured, self.goal))


HEAD = "| what | goal | measured | | how |\n| --- | ---: | ---: | --- | --- |\n"


def line(figure: Figure) -> str:
    """Write one line of the table, which is Markdown."""
    goal, measured = figure.form.format(figure.goal), figure.form.format(figure.measured)
    verdict = "met" if figure.is_met else "NOT MET"
    return f"| {figure.what} | {figure.sign} {goal} | {measured} | {verdict} | {figure.how} |\n"


def spread(values: Sequence[float], form: str = "{:,.1f}") -> str:
    """Write the median with the smallest and the largest: `4,102 (3,950-4,300)`."""
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}-{high})"
