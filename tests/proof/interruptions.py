"""Interruptions of a running `batch-enroll`: kills, signals and freezes, at a count, a time or a named point."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.proof.harness import Strike, Trial, at_moment, watch


def kill_at(point: str, nth: int = 1) -> Strike:
    """SIGKILL at a named point of `traced_command.py`, such as `before:settle`."""
    return Strike(words=("--kill", f"{point}:{nth}"))


def kill_after_requests(count: int) -> Strike:
    """SIGKILL when so many more requests have come."""
    return Strike(lambda trial, process: after_requests(trial, process, count, process.kill))


def kill_after_seconds(seconds: float) -> Strike:
    """SIGKILL so long after the start, wherever the process is then."""

    def act(_: Trial, process: subprocess.Popen[str]) -> None:
        watch(process, until=at_moment(seconds))
        process.kill()

    return Strike(act)


def signal_after_requests(count: int, *signals: signal.Signals, apart_s: float = 0.15) -> Strike:
    """Send one signal after the other when so many more requests have come."""

    def act(trial: Trial, process: subprocess.Popen[str]) -> None:
        def send() -> None:
            for number in signals:
                process.send_signal(number)
                watch(process, until=at_moment(apart_s))
            trial.cuts += len(signals) > 1

        after_requests(trial, process, count, send)

    return Strike(act)


def freeze_after_requests(count: int, *, for_s: float) -> Strike:
    """SIGSTOP when so many more requests have come, SIGCONT after a while."""

    def act(trial: Trial, process: subprocess.Popen[str]) -> None:
        def freeze() -> None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(for_s)
            process.send_signal(signal.SIGCONT)
            trial.cuts += 1

        after_requests(trial, process, count, freeze)

    return Strike(act)


def one_after_the_other(*strikes: Strike) -> Strike:
    """Strike one process several times, from outside."""

    def act(trial: Trial, process: subprocess.Popen[str]) -> None:
        for strike in strikes:
            strike.act(trial, process)

    return Strike(act)


ROW_POINTS = (
    "before:intend",
    "after:intend",
    "before:send",
    "after:send",
    "before:settle",
    "after:settle",
)
"""The points of one row on its way, in their order."""


def random_strikes(luck: random.Random, *, per_strike: int) -> Iterator[Strike]:
    """Draw strikes without end: most are kills after about `per_strike` requests, some during start and plan.

    Args:
        luck: decides everything.
        per_strike: requests from one strike to the next, on average.
    """
    while True:
        draw, count = luck.random(), luck.randint(1, 2 * per_strike)
        if draw < 0.65:
            yield kill_after_requests(count)
        elif draw < 0.82:
            yield kill_at(luck.choice(ROW_POINTS), count)
        elif draw < 0.92:
            yield kill_after_seconds(luck.uniform(0.05, 1.0))
        elif draw < 0.95:
            yield signal_after_requests(count, signal.SIGTERM)
        elif draw < 0.98:
            yield signal_after_requests(count, signal.SIGINT, signal.SIGINT, apart_s=0.05)
        else:
            yield one_after_the_other(freeze_after_requests(count, for_s=0.5), kill_after_requests(count))


def after_requests(trial: Trial, process: subprocess.Popen[str], count: int, act: Callable[[], None]) -> None:
    """Act when so many more requests have come, unless the process has ended before."""
    enough = trial.arrived() + count
    watch(process, until=lambda: trial.arrived() >= enough)
    if process.poll() is None:
        act()
