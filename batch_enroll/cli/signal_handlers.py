"""Handle Ctrl-C, SIGTERM and SIGHUP: the first signal stops a run in order, the second ends it at once.

The handlers never raise while a run is active: they wake the event loop, which also works on Windows.
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

EXIT_CODES_BY_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # the terminal was closed; not on Windows
    EXIT_CODES_BY_SIGNAL[signal.SIGHUP] = 143


_last_signal = signal.SIGINT  # the signal behind a KeyboardInterrupt; other signals are raised as one


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Let every signal end the block as Ctrl-C does: by a KeyboardInterrupt, so that resources are released."""
    global _last_signal
    _last_signal = signal.SIGINT

    def handler(number: int, _frame: FrameType | None) -> None:
        _remember(number)
        if callable(
            signal.getsignal(signal.SIGINT)
        ):  # an event loop may have set its own handler, which ends it in order
            signal.raise_signal(signal.SIGINT)
        else:
            raise KeyboardInterrupt

    others = [number for number in EXIT_CODES_BY_SIGNAL if number != signal.SIGINT]
    with _handlers_set(signal.default_int_handler, [signal.SIGINT]), _handlers_set(handler, others):
        yield


def exit_code_for_interrupt() -> int:
    """Give the exit code of the signal behind a KeyboardInterrupt, however it was delivered."""
    return EXIT_CODES_BY_SIGNAL[_last_signal]


def _signal_name(number: signal.Signals) -> str:
    return "Ctrl-C" if number == signal.SIGINT else number.name


def _describe_stop(control: Control) -> str:
    """Describe what the first signal does."""
    now = control.standing()
    if now is None or not now.is_sending:
        return "stopping; nothing was sent yet"
    return "writing the results" if now.is_over else "taking no more rows, waiting for the requests in flight"


def _remember(number: int) -> None:
    """Remember a signal other than Ctrl-C; SIGINT is also raised for the others and must not hide them."""
    global _last_signal
    if number != signal.SIGINT:
        _last_signal = signal.Signals(number)


@contextmanager
def stop_on_signals(control: Control) -> Iterator[None]:
    """Stop the run on signals while the block runs; must be entered in the event loop's thread."""
    import asyncio

    loop = asyncio.get_running_loop()
    is_first = True  # also after another stop: only two signals may abandon the requests in flight

    def handler(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(take, signal.Signals(number))

    def take(number: signal.Signals) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            name = _signal_name(number)
            print_message(f"{name}: {_describe_stop(control)}. Repeat it to stop at once.")
            control.stop(f"Stopped by {name}.", exit_code=EXIT_CODES_BY_SIGNAL[number])
        else:
            control.break_off()

    with _handlers_set(handler, list(EXIT_CODES_BY_SIGNAL)):
        yield


@contextmanager
def _handlers_set(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals]
) -> Iterator[None]:
    """Set signal handlers while the block runs; ignored signals stay ignored (nohup)."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    with ExitStack() as before:  # one by one: a signal may arrive, and raise, while only some are set
        for number in numbers:
            if (old := signal.getsignal(number)) is not signal.SIG_IGN:
                before.callback(signal.signal, number, old)
                signal.signal(number, handler)
        yield
