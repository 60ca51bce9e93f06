"""Two sending processes against one."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure, spread
from benchmarks.machine import ALL_CORES
from benchmarks.processes import enroll, people
from benchmarks.server import cheap_server
from benchmarks.sizes import Sizes


def crew(sizes: Sizes) -> Iterator[Figure]:
    """Compare two sending processes with one, on all cores; the server has to share them."""
    one, two, cpu_one, cpu_two = [], [], [], []
    with people(sizes.large) as source, cheap_server(ALL_CORES) as server:
        for _ in range(sizes.rounds):
            alone = enroll(source, server.url, cores=ALL_CORES)
            both = enroll(source, server.url, "--processes", "2", cores=ALL_CORES)
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
