"""The numbers of rows and repetitions: normal, quick and full."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIVE_MILLION = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows, unless a name ends in another unit."""

    rounds: int = 3
    small: int = 2_000
    large: int = 100_000
    httpx: int = 400
    newman: tuple[int, int] = (50, 350)
    waits: tuple[tuple[int, int, int], ...] = ((20, 64, 40_000), (200, 256, 16_000))  #: ms, in flight, rows
    wrk_s: int = 10
    check: int = 1_000_000
    growth: tuple[int, ...] = (10_000, 50_000, 100_000, 1_000_000)  #: the second is the base of memory's growth
    report: int = 1_000_000
    starts: int = 10
    rate_s: float = 5.0
    hidden_s: float = 60.0  #: of each of the three hidden limits


USUAL = Sizes()
QUICK = Sizes(
    rounds=2,
    large=10_000,
    httpx=150,
    newman=(10, 60),
    waits=((20, 64, 10_000), (200, 256, 5_000)),
    wrk_s=3,
    check=100_000,
    growth=(2_000, 5_000, 20_000),
    report=200_000,
    starts=5,
    rate_s=2.0,
    hidden_s=20.0,
)
FULL = replace(USUAL, growth=(*USUAL.growth, FIVE_MILLION))
