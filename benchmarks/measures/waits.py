"""A whole run against wrk with a slow platform."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from statistics import median

from benchmarks import timing_server
from benchmarks.figures import Figure, Line, NotRun, spread
from benchmarks.machine import SERVER_CORES
from benchmarks.processes import enroll, people
from benchmarks.sizes import Sizes
from benchmarks.timing_server import clock_server
from benchmarks.wrk import wrk_per_s


def waits(sizes: Sizes) -> Iterator[Line]:
    """Compare with `wrk -t1` at the same number in flight, which builds no request and looks at no answer."""
    for delay_ms, in_flight, rows in sizes.waits:
        what = f"whole run against wrk, server of {delay_ms} ms, {in_flight} in flight"
        why = timing_server.missing() or ("" if shutil.which("wrk") else "wrk is not installed")
        yield NotRun(what=what, why=why) if why else _compare(what, sizes, delay_ms, in_flight, rows)


def _compare(what: str, sizes: Sizes, delay_ms: int, in_flight: int, rows: int) -> Figure:
    ours, sustained, theirs = [], [], []
    with (
        people(rows) as many,
        people(sizes.small) as few,
        clock_server(SERVER_CORES, delay_ms=delay_ms) as server,
    ):
        for _ in range(sizes.rounds):
            long = enroll(many, server.url, in_flight=in_flight).wall_s
            theirs.append(wrk_per_s(server.url, in_flight=in_flight, seconds=sizes.wrk_s))
            short = enroll(few, server.url, in_flight=in_flight).wall_s
            ours.append(rows / long)
            sustained.append((rows - sizes.small) / (long - short))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    without_start = median(a / b for a, b in zip(sustained, theirs, strict=True))
    return Figure(
        what=what,
        measured=median(ratios),
        sign=">=",
        goal=0.95,
        form="{:.3f}x",
        how=f"{sizes.rounds} rounds: {spread(ratios, '{:.3f}')}; {rows:,} rows; rows/s ours {spread(ours, '{:,.0f}')}, "
        f"theirs {spread(theirs, '{:,.0f}')}; without our start {without_start:.3f}; the delay alone allows "
        f"{in_flight / delay_ms * 1000:,.0f}",
    )
