"""A signal counts as itself whenever it comes, also while who handles it is being changed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from batch_enroll.cli import signal_handlers
from batch_enroll.cli.signal_handlers import EXIT_CODES_BY_SIGNAL, exit_code_for_interrupt, interrupt_on_signals

SIGNALS = list(EXIT_CODES_BY_SIGNAL)


def _interrupted_at(number: signal.Signals, at_step: int) -> tuple[int | None, bool]:
    """Have signals handled once more; the signal comes at one step of our own code on the way.

    Returns:
        The exit code if it was interrupted, and whether the way had so many steps.
    """
    steps = 0

    def trace(frame, event, _arg):
        nonlocal steps
        if frame.f_code.co_filename != signal_handlers.__file__ or frame.f_code.co_name == "handler":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == at_step:
                signal.raise_signal(number)
        return trace

    with interrupt_on_signals():
        outer = sys.gettrace()
        try:
            sys.settrace(trace)
            with interrupt_on_signals():
                pass
        except KeyboardInterrupt:
            return exit_code_for_interrupt(), True
        finally:
            sys.settrace(outer)
    return None, steps >= at_step


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_reported_as_itself_at_any_step(number):
    before = {each: signal.getsignal(each) for each in SIGNALS}
    told: list[int | None] = []
    while (heard := _interrupted_at(number, at_step=len(told) + 1))[1]:
        told.append(heard[0])
        for each, handler in before.items():  # an interrupt in the middle of setting them may leave some
            signal.signal(each, handler)
    assert len(told) > 100, "the way through the code was not seen"
    assert set(told) == {EXIT_CODES_BY_SIGNAL[number]}


_INTERRUPTED = """
import atexit, signal, sys
from batch_enroll.cli import entry_point

class WhileItStarts:
    def find_spec(name, *_):
        if name == "batch_enroll.cli.main":
            signal.raise_signal(signal.SIGINT)

if sys.argv.pop() == "starts":
    sys.meta_path.insert(0, WhileItStarts)
else:
    atexit.register(signal.raise_signal, signal.SIGINT)
entry_point()
"""


@pytest.mark.parametrize(("when", "said"), [("starts", False), ("goes", True)])
def test_ctrl_c_during_startup_or_exit_gives_no_traceback(when, said):
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, "--version", when], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
    assert ended.stdout.startswith("batch-enroll ") is said
