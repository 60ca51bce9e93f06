"""What is measured. Each measure takes the sizes and gives its lines, one after the other, as soon as each is known.

What is compared is measured in turn (A B A B ...), the ratio taken within each round, the median of all shown. A run is
always the whole program as a process: start, reading, plan, ledger with fsync, sending, results, end. Rivals are their
loop alone, without their start. So every ratio errs to our disadvantage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.figures import Line
from benchmarks.measures.adaptive import adaptive
from benchmarks.measures.growth import growth
from benchmarks.measures.newman import newman
from benchmarks.measures.pace import pace
from benchmarks.measures.rivals import rivals
from benchmarks.measures.single import checking, reporting, starting
from benchmarks.measures.waits import waits
from benchmarks.sizes import Sizes

MEASURES: dict[str, Callable[[Sizes], Iterator[Line]]] = {
    "rivals": rivals,
    "newman": newman,
    "wrk": waits,
    "check": checking,
    "growth": growth,
    "report": reporting,
    "start": starting,
    "pace": pace,
    "adaptive": adaptive,
}
