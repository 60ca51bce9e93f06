"""A whole run against newman, which sends one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure, Line, NotRun, spread
from benchmarks.machine import SERVER_CORES
from benchmarks.newman_program import NoNewman, newman_program, newman_run
from benchmarks.nginx_server import cheap_server
from benchmarks.processes import enroll, people
from benchmarks.sizes import Sizes

_WHAT = "whole run against newman"


def newman(sizes: Sizes) -> Iterator[Line]:
    """Compare row rates; newman's start is taken out by two sizes, ours is not."""
    few_rows, many_rows = sizes.newman
    ours, theirs, with_start = [], [], []
    try:
        with (
            newman_program() as program,
            people(sizes.large) as source,
            people(few_rows) as few,
            people(many_rows) as many,
            cheap_server(SERVER_CORES) as server,
        ):
            for _ in range(sizes.rounds):
                ours.append(sizes.large / enroll(source, server.url).wall_s)
                short, long = (newman_run(program, rows, server.url).wall_s for rows in (few, many))
                theirs.append((many_rows - few_rows) / (long - short))
                with_start.append(many_rows / long)
    except NoNewman as why:
        yield NotRun(what=_WHAT, why=str(why))
        return
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    yield Figure(
        what=_WHAT,
        measured=median(ratios),
        sign=">=",
        goal=80,
        form="{:,.1f}x",
        how=f"{sizes.rounds} rounds: {spread(ratios)}; rows/s ours {spread(ours, '{:,.0f}')}, "
        f"theirs {spread(theirs)} by {many_rows} rows less {few_rows}, with its start {median(with_start):.1f}",
    )
