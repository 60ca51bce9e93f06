"""Ask a run that goes in another process, and hear what came of it.

In: a run, a wish from a command or the page. Out: the running process's answer, or an error that says that nobody works
on the run or that nobody answered. Never: a row, a change of the ledger, a wish that is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batch_enroll.clock import Clock
from batch_enroll.config.load import build_pace
from batch_enroll.control.mailbox import ControlCommand, ControlReply, ControlRequestFile
from batch_enroll.errors import RunLocked, RunNotActive
from batch_enroll.ledger.interface import Ledger, RunState
from batch_enroll.ledger.transitions import no_such_run
from batch_enroll.models import Counts

PATIENCE_S: Final = 10.0  #: how long a request is good; a process may be busy with a block of rows
_READ_S: Final = 0.05  #: from one look for the answer to the next
_LOOK_S: Final = 0.4  #: from one look at the run's lock to the next
_GRACE_S: Final = 5.0  #: how long the answer to a request that was taken may take


async def send_control_command(
    ledger: Ledger,
    run_id: str,
    wish: ControlCommand,
    *,
    clock: Clock,
    pace: Mapping[str, Any] | None = None,
    patience_s: float = PATIENCE_S,
) -> ControlReply:
    """Ask the process that works on a run, and wait for what it says.

    Args:
        pace: SET only: `rate` and `concurrency` as a job takes them, those that change.
    Raises:
        JobError: the pace cannot be kept.
        NoSuchRun, LedgerError: the run cannot be read.
        NobodyAtWork: no process works on it.
        RunLocked: one does, and did not answer in time; nothing was changed.
    """
    build_pace(pace or {})
    state = await _state(ledger, run_id)
    if state is None:
        raise no_such_run(run_id)
    if not await ledger.lock_owner(run_id):
        raise _nobody(run_id, state)
    letter = ControlRequestFile.post(ledger.folder(run_id), wish, dict(pace or {}), clock=clock, patience_s=patience_s)
    try:
        return await _answered(letter, ledger, run_id, clock=clock, patience_s=patience_s)
    except RunNotActive:
        if wish is ControlCommand.STOP and await _state(ledger, run_id) is None:  # and the answer went with its folder
            return _given_up(run_id)
        raise
    finally:
        letter.withdraw()


async def wait_until_released(ledger: Ledger, run_id: str, *, clock: Clock) -> Counts | None:
    """Wait until no process works on a run, and give its counts; None when its plan was given up and it is gone."""
    while await ledger.lock_owner(run_id):
        await clock.sleep(_LOOK_S)
    if await _state(ledger, run_id) is None:
        return None
    run = await ledger.open(run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()


async def _answered(
    letter: ControlRequestFile, ledger: Ledger, run_id: str, *, clock: Clock, patience_s: float
) -> ControlReply:
    """Wait for the answer; withdraw the request when none comes.

    Raises:
        NobodyAtWork, RunLocked: as `ask_run`.
    """
    give_up = clock.monotonic() + patience_s
    look_again = clock.monotonic() + _LOOK_S
    while True:
        if (answer := letter.answer()) is not None:
            return answer
        now = clock.monotonic()
        if now >= look_again:
            look_again = now + _LOOK_S
            worker = await ledger.lock_owner(run_id)
            if not worker:
                if (answer := letter.answer()) is not None:
                    return answer
                raise _nobody(run_id, RunState.OPEN)
            if now >= give_up and letter.withdraw():
                raise _no_answer(run_id, worker, patience_s)
            if now >= give_up + _GRACE_S:
                raise RunLocked(
                    f"Run {run_id} is being worked on by {worker}, which took the request and did not answer.",
                    hint=f"See `batch-enroll show {run_id}`.",
                )
        await clock.sleep(_READ_S)


async def _state(ledger: Ledger, run_id: str) -> RunState | None:
    """How a run stands; None when there is no such run, or no longer."""
    return next((record.state for record in await ledger.runs() if record.run_id == run_id), None)


def _given_up(run_id: str) -> ControlReply:
    return ControlReply(
        run=run_id,
        asked=ControlCommand.STOP.value,
        done=True,
        said=f"Run {run_id} ends before it sends.",
        paused=False,
        rate_per_s=None,
        concurrency=0,
        in_flight=0,
        stop_reason=None,
    )


def _nobody(run_id: str, state: RunState) -> RunNotActive:
    finished = state is RunState.FINISHED
    return RunNotActive(
        f"No process works on run {run_id}{': it is finished' if finished else ''}.",
        hint="" if finished else "Give the command that began it again: it carries on.",
    )


def _no_answer(run_id: str, worker: str, patience_s: float) -> RunLocked:
    return RunLocked(
        f"Run {run_id} is being worked on by {worker or 'a process'}, which did not answer within {patience_s:g} s. "
        "Nothing was changed.",
        hint="It may be waiting at its own terminal for an answer, or writing results. Ctrl-C there is always safe.",
    )
