"""CPU per row and peak memory, from ten thousand rows to millions."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.machine import SERVER_CORES
from benchmarks.nginx_server import cheap_server
from benchmarks.processes import ProcessResult, check, enroll, people
from benchmarks.sizes import FIVE_MILLION, Sizes


def growth(sizes: Sizes) -> Iterator[Figure]:
    """Check and run each size once: CPU by row, the peaks compared with those of the second size."""
    checked: dict[int, ProcessResult] = {}
    ran: dict[int, ProcessResult] = {}
    with cheap_server(SERVER_CORES) as server:
        for rows in sizes.growth:
            most_s = max(900.0, rows / 1_000)
            with people(rows) as source:
                checked[rows] = check(source, most_s=most_s)
                yield _cost("check", checked, rows)
                ran[rows] = enroll(source, server.url, most_s=most_s)
                yield _cost("run", ran, rows)
    base, largest = sizes.growth[1], sizes.growth[-1]
    peaks = "; ".join(f"{rows:,}: {ended.peak_mb:.0f}" for rows, ended in ran.items())
    yield Figure(
        what=f"growth of a run's peak of memory, {base:,} to {largest:,} rows",
        measured=ran[largest].peak_mb - ran[base].peak_mb,
        sign="<",
        goal=20,
        form="{:.1f} MB",
        how=f"MB by rows: {peaks}" + ("" if largest >= FIVE_MILLION else "; 5,000,000 rows were not run (--full)"),
    )
    yield Figure(
        what="a run's peak of memory",
        measured=max(ended.peak_mb for ended in ran.values()),
        sign="<",
        goal=150,
        form="{:.0f} MB",
        how="; ".join(f"check of {rows:,}: {ended.peak_mb:.0f}" for rows, ended in checked.items()),
    )


def _cost(kind: str, ended: dict[int, ProcessResult], rows: int) -> Figure:
    smaller = max((each for each in ended if each < rows), default=0)
    how = f"{ended[rows].wall_s:,.1f} s"
    if smaller:
        more_s = ended[rows].cpu_s - ended[smaller].cpu_s
        how += f"; each row after the first {smaller:,}: {more_s / (rows - smaller) * 1e6:,.1f} us"
    else:
        how += "; with the start"
    return Figure(
        what=f"CPU per row, {kind} of {rows:,}", measured=ended[rows].cpu_s / rows * 1e6, form="{:,.1f} us", how=how
    )
