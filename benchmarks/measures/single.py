"""Measures without a comparison: check, writing of results, start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure, spread
from benchmarks.machine import SERVER_CORES
from benchmarks.nginx_server import cheap_server
from benchmarks.processes import check, enroll, measure, people
from benchmarks.sizes import Sizes


def checking(sizes: Sizes) -> Iterator[Figure]:
    """Read, map, validate, deduplicate, plan: the dry run as a process on one core."""
    with people(sizes.check) as source:
        ended = [check(source) for _ in range(3)]
    per_s = [sizes.check / each.wall_s for each in ended]
    yield Figure(
        what="check of CSV rows on one core",
        measured=median(per_s),
        sign=">=",
        goal=100_000,
        form="{:,.0f}/s",
        how=f"{sizes.check:,} rows, 3 times: {spread(per_s, '{:,.0f}')}; "
        f"rows per CPU second {sizes.check / median(each.cpu_s for each in ended):,.0f}",
    )


def reporting(sizes: Sizes) -> Iterator[Figure]:
    """Write results that are ready in memory: `ResultsWriter` alone."""
    with tempfile.TemporaryDirectory(prefix="batch-enroll-report-") as name:
        ended = measure("-m", "benchmarks.reporter", str(sizes.report), name)
    yield Figure(
        what=f"results of {sizes.report:,} rows written",
        measured=float(ended.out),
        sign="<",
        goal=15,
        form="{:.1f} s",
        how="the reporter alone, without ledger and stage",
    )


def starting(sizes: Sizes) -> Iterator[Figure]:
    """`--help`, and the time from the program's start to the server's first request."""
    helps = [measure("-m", "batch_enroll", "--help") for _ in range(sizes.starts)]
    yield Figure(
        what="--help answers",
        measured=median(each.wall_s for each in helps),
        sign="<",
        goal=0.3,
        form="{:.2f} s",
        how=f"{sizes.starts} times: {spread([each.wall_s for each in helps], '{:.2f}')}; "
        f"CPU {median(each.cpu_s for each in helps):.2f} s",
    )
    firsts = []
    with people(1_000) as source, cheap_server(SERVER_CORES) as server:
        for _ in range(sizes.starts):
            server.moments.write_text("")
            ended = enroll(source, server.timed_url)
            firsts.append(float(server.moments.read_text().split()[0]) - ended.began_at)
    yield Figure(
        what="first request of a 1,000-row run",
        measured=median(firsts),
        sign="<",
        goal=1,
        form="{:.2f} s",
        how=f"after the program's start, {sizes.starts} times: {spread(firsts, '{:.2f}')}",
    )
