"""Ctrl-C and SIGTERM end a run in order: the first asks it to take no more rows, the second breaks it off. Anywhere
else they end the command, which puts away what it holds.

In: signals of the system. Out: calls of the run's `Control`, in the event loop; elsewhere a KeyboardInterrupt. Never:
an exception in the middle of sending, a copy of the input that is left behind. Works where the loop itself cannot take
signals (Windows): the handler only wakes the loop.
"""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from batch_enroll.cli.screen import say

if TYPE_CHECKING:
    from batch_enroll.steering.control import Control

EXIT_OF = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # the terminal was closed; Windows has no such thing
    EXIT_OF[signal.SIGHUP] = 143


@contextmanager
def signals_end() -> Iterator[Callable[[KeyboardInterrupt], int]]:
    """Let every signal end the block as Ctrl-C does: by a KeyboardInterrupt, so that what it holds is put away.

    Yields:
        Tells the exit code of the signal behind an interrupt.
    """
    last = signal.SIGINT

    def handler(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        last = signal.Signals(number)
        if callable(signal.getsignal(signal.SIGINT)):  # an event loop may have one that lets it end in order
            signal.raise_signal(signal.SIGINT)
        else:
            raise KeyboardInterrupt

    with _handled(handler, [number for number in EXIT_OF if number != signal.SIGINT]):
        yield lambda error: exit_code_of_interrupt(error, otherwise=last)


def exit_code_of_interrupt(error: KeyboardInterrupt, *, otherwise: signal.Signals = signal.SIGINT) -> int:
    """Give the exit code of the signal that an interrupt names; of another one when it names none."""
    number = next((arg for arg in error.args if isinstance(arg, signal.Signals)), otherwise)
    return EXIT_OF[number]


@contextmanager
def signals_stop(control: Control) -> Iterator[None]:
    """Let signals stop the run while the block runs; must be entered in the event loop's thread."""
    import asyncio

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

    with _handled(handler, list(EXIT_OF)):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt, with their number, while the block waits for a person or for a pipe.

    The event loop stands still meanwhile, and what it would do about a signal would wait as well.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number))

    with _handled(handler, list(EXIT_OF)):
        yield


class InterruptibleInput(io.RawIOBase):
    """Standard input, the waiting for which every signal ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        with interruptible():
            return self._stream.read(size)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], numbers: list[signal.Signals]) -> Iterator[None]:
    """Have signals handled while the block runs; those that are ignored stay so, since nohup means it."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
