"""Ctrl-C and SIGTERM: the first stops a run in order, the second ends it at once; elsewhere they end the command.

The handlers never raise while a run goes on: they wake the event loop, which works where a loop itself cannot take
signals (Windows).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from batch_enroll.cli.console import print_message

if TYPE_CHECKING:
    from batch_enroll.control.run_control import Control

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


def exit_code_for_interrupt() -> int:
    """Give the exit code of the signal behind a KeyboardInterrupt, whichever way it came."""
    return EXIT_OF[_heard]


def _name_of(number: signal.Signals) -> str:
    return "Ctrl-C" if number == signal.SIGINT else number.name


def _what_follows(control: Control) -> str:
    """Say what a first signal leads to."""
    now = control.standing()
    if now is None or not now.is_sending:
        return "stopping; nothing was sent yet"
    return "writing the results" if now.is_over else "taking no more rows, waiting for the answers in flight"


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
            print_message(f"{name}: {_what_follows(control)}. Once more to stop at once.")
            control.stop(f"Stopped by {name}.", exit_code=EXIT_OF[number])
        else:
            control.break_off()

    with _handled(handler, list(EXIT_OF)):
        yield


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
