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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

from batch_enroll.cli.screen import say

if TYPE_CHECKING:
    from batch_enroll.steering.control import Control

EXIT_OF = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # the terminal was closed; Windows has no such thing
    EXIT_OF[signal.SIGHUP] = 143


_heard = signal.SIGINT  # what an interrupt stands for; another signal may reach us as one. A process has one of these


@contextmanager
def signals_end() -> Iterator[None]:
    """Let every signal end the block as Ctrl-C does: by a KeyboardInterrupt, so that what it holds is put away."""
    global _heard
    _heard = signal.SIGINT

    def handler(number: int, _frame: FrameType | None) -> None:
        _hear(number)
        if callable(signal.getsignal(signal.SIGINT)):  # an event loop may have one that lets it end in order
            signal.raise_signal(signal.SIGINT)
        else:
            raise KeyboardInterrupt

    others = [number for number in EXIT_OF if number != signal.SIGINT]
    with _handled(signal.default_int_handler, [signal.SIGINT]), _handled(handler, others):
        yield


def exit_code_of_interrupt() -> int:
    """Give the exit code of the signal behind a KeyboardInterrupt, whichever way it came."""
    return EXIT_OF[_heard]


def stop_for_interrupt(control: Control) -> None:
    """Stop the run for the signal behind a KeyboardInterrupt that was caught at a question."""
    control.stop(_stopped_by(_heard), exit_code=exit_code_of_interrupt())


def _stopped_by(number: signal.Signals) -> str:
    return f"Stopped by {_name_of(number)}."


def _name_of(number: signal.Signals) -> str:
    return "Ctrl-C" if number == signal.SIGINT else number.name


def _hear(number: int) -> None:
    """Keep which signal it was; Ctrl-C need not be kept, and must not hide the one that is passed on in its guise."""
    global _heard
    if number != signal.SIGINT:
        _heard = signal.Signals(number)


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
            name = _name_of(number)
            say(f"{name}: taking no more rows, waiting for the answers in flight. Once more to stop at once.")
            control.stop(_stopped_by(number), exit_code=EXIT_OF[number])
        else:
            control.break_off()

    with _handled(handler, list(EXIT_OF)):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt while the block waits for a person or for a pipe.

    The event loop stands still meanwhile, and what it would do about a signal would wait as well.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        _hear(number)
        raise KeyboardInterrupt

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
def _handled(handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Have signals handled while the block runs; those that are ignored stay so, since nohup means it."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    with ExitStack() as before:  # one by one: a signal may come, and raise, while only some of them are set
        for number in numbers:
            if (old := signal.getsignal(number)) is not signal.SIG_IGN:
                before.callback(signal.signal, number, old)
                signal.signal(number, handler)
        yield
