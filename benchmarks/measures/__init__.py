"""The measures by name; each takes the sizes and yields its lines of the table as soon as they are known.

Compared programs are measured alternately (A B A B ...); the ratio is taken within each round, and the table shows the
median. A run is the whole program as a process: start, reading, plan, ledger with fsync, sending, results, end. The
other programs are their loop alone, without their start, so every ratio is at the disadvantage of this program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.figures import Line
from benchmarks.measures.adaptive import adaptive
from benchmarks.measures.comparisons import comparisons
from benchmarks.measures.growth import growth
from benchmarks.measures.newman import newman
from benchmarks.measures.rate import rate
from benchmarks.measures.single import checking, reporting, starting
from benchmarks.measures.waits import waits
from benchmarks.sizes import Sizes

MEASURES: dict[str, Callable[[Sizes], Iterator[Line]]] = {
    "comparisons": comparisons,
    "newman": newman,
    "wrk": waits,
    "check": checking,
    "growth": growth,
    "report": reporting,
    "start": starting,
    "rate": rate,
    "adaptive": adaptive,
}
