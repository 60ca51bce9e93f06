"""A platform with a changing rate limit that it does not announce."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from batch_enroll.sandbox.child_process import SandboxHandle, sandbox_process
from batch_enroll.sandbox.sandbox_settings import SandboxSettings
from benchmarks.figures import Figure
from benchmarks.machine import SERVER_CORES, on_cores
from benchmarks.processes import TOKEN, ProcessResult, enroll, people
from benchmarks.sizes import Sizes

_HIDDEN_PER_S = (200, 60, 200)
_RATE_PER_S = 500
_START_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phase:
    """What happened while one hidden limit held."""

    limit_per_s: int
    took_s: float
    enrolled: int
    refused: int

    @property
    def used(self) -> float:
        """How much of what the platform would have taken."""
        return self.enrolled / (self.limit_per_s * self.took_s)


def adaptive(sizes: Sizes) -> Iterator[Figure]:
    """Run at a rate far above the hidden limit, which answers 429 above itself and then changes."""
    rows = int(sum(_HIDDEN_PER_S) * sizes.hidden_s)  # as many as the platform would take, so the run cannot end before
    settings = SandboxSettings(token=TOKEN, rate_per_s=_HIDDEN_PER_S[0], keep_requests=0)
    with (
        people(rows) as source,
        on_cores(SERVER_CORES),
        sandbox_process(settings) as sandbox,
        ThreadPoolExecutor(1) as thread,
    ):
        run = thread.submit(enroll, source, sandbox.url, "--rate", str(_RATE_PER_S))
        try:
            phases = _play(sandbox, run, sizes.hidden_s)
        finally:
            sandbox.control(rate_per_s=None)  # what is left goes at full rate
        run.result()
    enrolled, refused = (sum(getattr(phase, name) for phase in phases) for name in ("enrolled", "refused"))
    how = "; ".join(f"{each.limit_per_s}/s: {each.used:.0%} used, {each.refused} refused" for each in phases)
    name = f"hidden limit {' to '.join(map(str, _HIDDEN_PER_S))}/s"
    yield Figure(
        what=f"{name}: used of it",
        measured=100 * enrolled / sum(phase.limit_per_s * phase.took_s for phase in phases),
        sign=">=",
        goal=75,
        form="{:.1f} %",
        how=f"--rate {_RATE_PER_S}, {sizes.hidden_s:.0f} s each; {how}",
    )
    yield Figure(
        what=f"{name}: answers 429",
        measured=100 * refused / (enrolled + refused),
        sign="<",
        goal=2,
        form="{:.2f} %",
        how=f"{refused:,} of {enrolled + refused:,}",
    )


def _play(sandbox: SandboxHandle, run: Future[ProcessResult], seconds: float) -> list[_Phase]:
    _wait_for_first(sandbox, run)
    phases = []
    for limit in _HIDDEN_PER_S:
        sandbox.control(rate_per_s=limit)
        before, began = sandbox.totals(), time.monotonic()
        time.sleep(seconds)
        after, took_s = sandbox.totals(), time.monotonic() - began
        enrolled, refused = (_grown(name, before, after) for name in ("enrolled_total", "throttled"))
        phases.append(_Phase(limit_per_s=limit, took_s=took_s, enrolled=enrolled, refused=refused))
    return phases


def _wait_for_first(sandbox: SandboxHandle, run: Future[ProcessResult]) -> None:
    deadline = time.monotonic() + _START_S
    while not sandbox.totals()["requests"]:
        if run.done() or time.monotonic() > deadline:
            raise SystemExit("The run against a hidden limit sent nothing.")
        time.sleep(0.01)


def _grown(name: str, before: dict[str, Any], after: dict[str, Any]) -> int:
    return int(after[name] - before[name])
