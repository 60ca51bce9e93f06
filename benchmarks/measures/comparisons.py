"""A whole run against plain httpx and against a bare aiohttp loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.figures import Figure, spread
from benchmarks.machine import SERVER_CORES
from benchmarks.nginx_server import cheap_server
from benchmarks.processes import enroll, measure, people
from benchmarks.sizes import Sizes


def comparisons(sizes: Sizes) -> Iterator[Figure]:
    """Compare whole runs with plain httpx and a bare aiohttp loop; CPU for each row from two sizes."""
    ours, sustained, cpu_us = [], [], []
    theirs: dict[str, list[_Speed]] = {"httpx": [], "aiohttp": []}
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
    for name, other, goal in (("plain httpx, pool of 64", "httpx", 45), ("a bare aiohttp loop", "aiohttp", 0.8)):
        speeds = theirs[other]
        ratios = [a / b.rows_per_s for a, b in zip(ours, speeds, strict=True)]
        without_start = median(a / b.rows_per_s for a, b in zip(sustained, speeds, strict=True))
        by_cpu = median(b.cpu_us / a for a, b in zip(cpu_us, speeds, strict=True))
        yield Figure(
            what=f"whole run against {name}, 64 in flight",
            measured=median(ratios),
            sign=">=",
            goal=goal,
            form="{:,.2f}x",
            how=f"{sizes.rounds} rounds: {spread(ratios, '{:.2f}')}; rows/s ours {spread(ours, '{:,.0f}')}, "
            f"theirs {spread([b.rows_per_s for b in speeds], '{:,.0f}')}; without our start {without_start:.2f}; "
            f"by CPU per row {by_cpu:.2f}, theirs {median(b.cpu_us for b in speeds):,.0f} us",
        )
    yield Figure(
        what="CPU per row of a whole run",
        measured=median(cpu_us),
        sign="<",
        goal=160,
        form="{:,.0f} us",
        how=f"{sizes.large:,} rows less {sizes.small:,}, {sizes.rounds} rounds: {spread(cpu_us, '{:.0f}')}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speed:
    """How fast a other was."""

    rows_per_s: float
    cpu_us: float  #: for each row


def _rival(name: str, url: str, rows: int) -> _Speed:
    wall_s, cpu_s = map(float, measure("-m", "benchmarks.comparison_loops", name, url, str(rows)).out.split())
    return _Speed(rows_per_s=rows / wall_s, cpu_us=cpu_s / rows * 1e6)
