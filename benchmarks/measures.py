"""What is measured, and how: each pair in turn (A B A B ...), the ratio taken within each round, the median of all.

A run is always the whole program as a process: start, reading, plan, ledger with fsync, sending, results, end. Rivals
are their loop alone, without their start. So every ratio errs to our disadvantage.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from batch_enroll.sandbox.process import sandbox_process
from batch_enroll.sandbox.settings import SandboxSettings
from benchmarks.figures import Figure, spread
from benchmarks.machine import ALL_CORES, SERVER_CORES, on_cores
from benchmarks.processes import TOKEN, check, enroll, measure, people
from benchmarks.server import cheap_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured; `--quick` is for trying the benchmark, not for figures to quote."""

    rounds: int = 3
    small: int = 2_000  #: rows
    large: int = 40_000
    httpx: int = 400
    check: int = 300_000
    memory: tuple[int, int] = (50_000, 200_000)
    report: int = 1_000_000
    starts: int = 10
    pace_s: float = 5.0


QUICK = Sizes(rounds=2, large=10_000, httpx=150, check=100_000, memory=(5_000, 20_000), starts=5, pace_s=2.0)

RATES_PER_S = (5, 50, 500, 2_000)


def rivals(sizes: Sizes) -> Iterator[Figure]:
    """Compare whole runs with plain httpx and a bare aiohttp loop; CPU for each row from two sizes."""
    ours, sustained, cpu_us = [], [], []
    theirs: dict[str, list[_Pace]] = {"httpx": [], "aiohttp": []}
    with people(sizes.large) as large, people(sizes.small) as small, cheap_server(SERVER_CORES) as server:
        for _ in range(sizes.rounds):
            many = enroll(large, server.url)
            theirs["httpx"].append(_rival("httpx", server.url, sizes.httpx))
            theirs["aiohttp"].append(_rival("aiohttp", server.url, sizes.large))
            few = enroll(small, server.url)
            more = sizes.large - sizes.small
            ours.append(sizes.large / many.wall_s)
            sustained.append(more / (many.wall_s - few.wall_s))
            cpu_us.append((many.cpu_s - few.cpu_s) / more * 1e6)
    for name, rival, goal in (("plain httpx, pool of 64", "httpx", 45), ("a bare aiohttp loop", "aiohttp", 0.8)):
        paces = theirs[rival]
        ratios = [a / b.rows_per_s for a, b in zip(ours, paces, strict=True)]
        without_start = median(a / b.rows_per_s for a, b in zip(sustained, paces, strict=True))
        by_cpu = median(b.cpu_us / a for a, b in zip(cpu_us, paces, strict=True))
        yield Figure(
            what=f"whole run against {name}, 64 in flight",
            measured=median(ratios),
            sign=">=",
            goal=goal,
            form="{:,.2f}x",
            how=f"{sizes.rounds} rounds: {spread(ratios, '{:.2f}')}; rows/s ours {spread(ours, '{:,.0f}')}, "
            f"theirs {spread([b.rows_per_s for b in paces], '{:,.0f}')}; without our start {without_start:.2f}; "
            f"by CPU per row {by_cpu:.2f}, theirs {median(b.cpu_us for b in paces):,.0f} us",
        )
    yield Figure(
        what="CPU per row of a whole run",
        measured=median(cpu_us),
        sign="<",
        goal=160,
        form="{:,.0f} us",
        how=f"{sizes.large:,} rows less {sizes.small:,}, {sizes.rounds} rounds: {spread(cpu_us, '{:.0f}')}",
    )


def crew(sizes: Sizes) -> Iterator[Figure]:
    """Compare two sending processes with one, on all cores; the server has to share them."""
    one, two, cpu_one, cpu_two = [], [], [], []
    with people(sizes.large) as source, cheap_server(ALL_CORES) as server:
        for _ in range(sizes.rounds):
            alone = enroll(source, server.url, cores=ALL_CORES)
            both = enroll(source, server.url, "--rate", "none", "--processes", "2", cores=ALL_CORES)
            one.append(sizes.large / alone.wall_s)
            two.append(sizes.large / both.wall_s)
            cpu_one.append(alone.cpu_s)
            cpu_two.append(both.cpu_s)
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    yield Figure(
        what="two processes against one",
        measured=median(ratios),
        sign=">=",
        goal=1.6,
        form="{:.2f}x",
        how=f"{sizes.rounds} rounds: {spread(ratios, '{:.2f}')}; {sizes.large:,} rows, {len(ALL_CORES)} cores with the "
        f"server on them; CPU s {median(cpu_one):.1f} and {median(cpu_two):.1f}",
    )


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


def memory(sizes: Sizes) -> Iterator[Figure]:
    """Compare the peaks of two runs; nobody has to wait for 5,000,000 rows."""
    peaks = []
    with cheap_server(SERVER_CORES) as server:
        for rows in sizes.memory:
            with people(rows) as source:
                peaks.append(enroll(source, server.url).peak_mb)
    few, many = sizes.memory
    yield Figure(
        what=f"growth of the peak, {few:,} to {many:,} rows",
        measured=peaks[1] - peaks[0],
        sign="<",
        goal=20,
        form="{:.1f} MB",
        how="5,000,000 rows were not run",
    )
    yield Figure(what="peak of memory", measured=max(peaks), sign="<", goal=150, form="{:.0f} MB", how=f"{many:,} rows")


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


def pace(sizes: Sizes) -> Iterator[Figure]:
    """Look at the moments at which the sandbox, which runs on the other core, saw the requests."""
    settings = SandboxSettings(token=TOKEN, keep_requests=int(RATES_PER_S[-1] * sizes.pace_s))
    with on_cores(SERVER_CORES):
        sandbox = sandbox_process(settings)
        server = sandbox.__enter__()
    try:
        for rate in RATES_PER_S:
            server.control(reset=True)
            rows = max(10, int(rate * sizes.pace_s))
            with people(rows) as source:
                enroll(source, server.url, "--rate", str(rate))
            stats = server.stats()
            arrivals = stats["arrivals"]
            mean_per_s = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
            how = f"{rows:,} rows; the mean was {mean_per_s:,.2f}/s"
            yield Figure(
                what=f"pace {rate:,}/s: error of the mean",
                measured=abs(mean_per_s / rate - 1) * 100,
                sign="<",
                goal=1,
                form="{:.2f} %",
                how=how,
            )
            yield Figure(
                what=f"pace {rate:,}/s: fullest second",
                measured=stats["peak_per_s"],
                sign="<=",
                goal=rate + 1,
                form="{:,.0f}",
            )
            yield Figure(
                what=f"pace {rate:,}/s: fullest tenth of a second",
                measured=stats["peak_per_100ms"],
                sign="<=",
                goal=max(1.0, 1.5 * rate / 10),
                form="{:,.1f}",
            )
    finally:
        sandbox.__exit__(*sys.exc_info())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """How fast a rival was."""

    rows_per_s: float
    cpu_us: float  #: for each row


def _rival(name: str, url: str, rows: int) -> _Pace:
    wall_s, cpu_s = map(float, measure("-m", "benchmarks.rivals", name, url, str(rows)).out.split())
    return _Pace(rows_per_s=rows / wall_s, cpu_us=cpu_s / rows * 1e6)


MEASURES: dict[str, Callable[[Sizes], Iterator[Figure]]] = {
    "rivals": rivals,
    "processes": crew,
    "check": checking,
    "memory": memory,
    "report": reporting,
    "start": starting,
    "pace": pace,
}
