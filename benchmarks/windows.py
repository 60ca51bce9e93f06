"""Statistics of arrival times, given as sorted seconds: counts in a span, mean rate, pauses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def most_in(moments: Sequence[float], span_s: float) -> int:
    """Most of them in any half-open span of this length."""
    most = first = 0
    for number, moment in enumerate(moments):
        while moments[first] <= moment - span_s:
            first += 1
        most = max(most, number - first + 1)
    return most


def mean_per_s(moments: Sequence[float]) -> float:
    """How many came in a second, from the first to the last.

    Raises:
        ValueError: fewer than two, or all at once.
    """
    if len(moments) < 2 or moments[-1] <= moments[0]:
        raise ValueError("a mean needs two different moments")
    return (len(moments) - 1) / (moments[-1] - moments[0])


def around_longest_pause(moments: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Split them at the longest time in which none came: those before, those after."""
    gaps = [after - before for before, after in pairwise(moments)]
    if not gaps:
        return moments, ()
    split = gaps.index(max(gaps)) + 1
    return moments[:split], moments[split:]
