"""Ctrl-C and SIGTERM: the first asks the run to stop, the second breaks it off.

In: signals of the system. Out: calls of the run's `Control`, in the event loop. Never: an exception in the middle of
something. Works where the loop itself cannot take signals (Windows): the handler only wakes the loop.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from batch_enroll.cli.screen import say
from batch_enroll.steering.control import Control

EXIT_OF = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # the terminal was closed; Windows has no such thing
    EXIT_OF[signal.SIGHUP] = 143


@contextmanager
def signals_stop(control: Control) -> Iterator[None]:
    """Let signals stop the run while the block runs; must be entered in the event loop's thread."""
    loop = asyncio.get_running_loop()
    is_first = True  # whatever else may have stopped the run before: its answers can be given up only by two signals

    def handler(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(take, signal.Signals(number))

    def take(number: signal.Signals) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            name = "Ctrl-C" if number == signal.SIGINT else number.name
            say(f"{name}: taking no more rows, waiting for the answers in flight. Once more to stop at once.")
            control.stop(f"Stopped by {name}.", exit_code=EXIT_OF[number])
        else:
            control.break_off()

    heeded = [number for number in EXIT_OF if signal.getsignal(number) is not signal.SIG_IGN]  # nohup means it
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt while the block waits for a person."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
