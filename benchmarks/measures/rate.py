"""The rate as the platform sees it: in steady state, and after a pause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks import timing_server
from benchmarks.figures import Figure, Line, NotRun
from benchmarks.machine import SERVER_CORES
from benchmarks.processes import enroll, people
from benchmarks.sizes import Sizes
from benchmarks.timing_server import clock_server
from benchmarks.windows import around_longest_pause, mean_per_s, most_in

RATES_PER_S = (5, 50, 500, 2_000)
_PAUSE_S = 1

Moments = Mapping[int, Sequence[float]]  #: by rate


def rate(sizes: Sizes) -> Iterator[Line]:
    """Look at the moments at which the kernel of the server's side received the requests."""
    if why := timing_server.missing():
        yield NotRun(what="rate", why=why)
        return
    moments = {rate: _arrivals(rate, max(10, int(rate * sizes.rate_s))) for rate in RATES_PER_S}
    yield _mean(moments)
    yield from _windows("", moments)
    yield from _windows(f" after a pause of {_PAUSE_S} s", {rate: _after_pause(rate, sizes) for rate in RATES_PER_S})


def _arrivals(rate: int, rows: int, *, refuse_at: int = 0) -> Sequence[float]:
    with (
        people(rows) as source,
        clock_server(SERVER_CORES, refuse_at=refuse_at, retry_after_s=_PAUSE_S) as server,
    ):
        enroll(source, server.url, "--rate", str(rate))
    return server.moments


def _after_pause(rate: int, sizes: Sizes) -> Sequence[float]:
    """A second of sending, a 429, and from the pause on at the rate to which that cut."""
    rows = max(20, int(rate * sizes.rate_s))
    before, after = around_longest_pause(_arrivals(rate, rows, refuse_at=rate))
    if after[0] - before[-1] < 0.9 * _PAUSE_S:
        raise SystemExit(f"At {rate}/s there was no pause after a 429 that asked for {_PAUSE_S} s.")
    return after


def _mean(moments: Moments) -> Figure:
    means = {rate: mean_per_s(arrived) for rate, arrived in moments.items()}
    return Figure(
        what="rate: error of the mean, the largest",
        measured=max(abs(mean / rate - 1) for rate, mean in means.items()) * 100,
        sign="<",
        goal=1,
        form="{:.2f} %",
        how="; ".join(f"{rate:,}/s: {mean:,.2f}" for rate, mean in means.items()),
    )


def _windows(condition: str, moments: Moments) -> Iterator[Figure]:
    seconds = {rate: most_in(arrived, 1.0) for rate, arrived in moments.items()}
    yield Figure(
        what=f"rate{condition}: fullest second, the most above its limit",
        measured=max(most - rate for rate, most in seconds.items()),
        sign="<=",
        goal=1,
        form="{:,.0f}",
        how="; ".join(f"{rate:,}/s: {most:,}" for rate, most in seconds.items()),
    )
    tenths = {rate: most_in(arrived, 0.1) for rate, arrived in moments.items()}
    yield Figure(
        what=f"rate{condition}: fullest tenth of a second, the most of its share",
        measured=max(most / max(1.0, rate / 10) for rate, most in tenths.items()),
        sign="<=",
        goal=1.5,
        form="{:.2f}x",
        how="; ".join(f"{rate:,}/s: {most:,}" for rate, most in tenths.items()),
    )
