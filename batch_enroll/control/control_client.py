"""Send a control command to the process that works on a run, and wait for its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batch_enroll.clock import Clock
from batch_enroll.config.load import build_rate_settings
from batch_enroll.control.control_files import ControlCommand, ControlReply, ControlRequestFile
from batch_enroll.errors import NoSuchRun, RunLocked, RunNotActive
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunState
from batch_enroll.messages import message
from batch_enroll.models import Counts

PATIENCE_S: Final = 10.0  #: how long a request is valid; a process may be busy with a block of rows
_REPLY_POLL_S: Final = 0.05
_LOCK_POLL_S: Final = 0.4
_GRACE_S: Final = 5.0  #: how much later the reply to a request that was taken may come


async def send_control_command(
    ledger: Ledger,
    run_id: str,
    command: ControlCommand,
    *,
    clock: Clock,
    pace: Mapping[str, Any] | None = None,
    patience_s: float = PATIENCE_S,
) -> ControlReply:
    """Send a command to the process that works on a run, and wait for its reply.

    Args:
        pace: SET only: `rate` and `concurrency` as a job takes them, those that change.
    Raises:
        JobError: rate or concurrency is not valid.
        NoSuchRun, LedgerError: the run cannot be read.
        RunNotActive: no process works on it.
        RunLocked: one does, and did not reply in time; nothing was changed.
    """
    build_rate_settings(pace or {})
    state = await _state(ledger, run_id)
    if state is None:
        raise NoSuchRun(message("ledger.no_such_run", run_id=run_id))
    if not await ledger.lock_owner(run_id):
        raise _not_active(run_id, state)
    request = ControlRequestFile.post(
        ledger.folder(run_id), command, dict(pace or {}), clock=clock, patience_s=patience_s
    )
    try:
        return await _wait_for_reply(request, ledger, run_id, clock=clock, patience_s=patience_s)
    except RunNotActive:
        if (
            command is ControlCommand.STOP and await _state(ledger, run_id) is None
        ):  # the reply was removed with its folder
            return _ended_before_sending(run_id)
        raise
    finally:
        request.withdraw()


async def wait_until_released(ledger: Ledger, run_id: str, *, clock: Clock) -> Counts | None:
    """Wait until no process works on a run, and give its counts; None when its plan was removed."""
    while await ledger.lock_owner(run_id):
        await clock.sleep(_LOCK_POLL_S)
    if await _state(ledger, run_id) is None:
        return None
    run = await ledger.open(run_id, read_only=True)
    try:
        return await run.counts()
    finally:
        await run.close_unchanged()


async def _wait_for_reply(
    request: ControlRequestFile, ledger: Ledger, run_id: str, *, clock: Clock, patience_s: float
) -> ControlReply:
    """Wait for the reply; withdraw the request when none comes.

    Raises:
        RunNotActive, RunLocked: as `send_control_command`.
    """
    give_up = clock.monotonic() + patience_s
    next_lock_poll = clock.monotonic() + _LOCK_POLL_S
    while True:
        if (reply := request.reply()) is not None:
            return reply
        now = clock.monotonic()
        if now >= next_lock_poll:
            next_lock_poll = now + _LOCK_POLL_S
            worker = await ledger.lock_owner(run_id)
            if not worker:
                if (reply := request.reply()) is not None:
                    return reply
                raise _not_active(run_id, RunState.OPEN)
            if now >= give_up and request.withdraw():
                raise _no_answer(run_id, worker, patience_s)
            if now >= give_up + _GRACE_S:
                raise RunLocked(message("control.no_reply_after_taken", run_id=run_id, worker=worker))
        await clock.sleep(_REPLY_POLL_S)


async def _state(ledger: Ledger, run_id: str) -> RunState | None:
    """Give the state of a run; None when there is no such run."""
    return next((record.state for record in await ledger.runs() if record.run_id == run_id), None)


def _ended_before_sending(run_id: str) -> ControlReply:
    return ControlReply(
        run=run_id,
        asked=ControlCommand.STOP.value,
        done=True,
        said=str(message("control.reply", run_id=run_id, said=message("control.ends_before_sending"))),
        paused=False,
        rate_per_s=None,
        concurrency=0,
        in_flight=0,
        stop_reason=None,
    )


def _not_active(run_id: str, state: RunState) -> RunNotActive:
    finished = state is RunState.FINISHED
    return RunNotActive(message("control.finished" if finished else "control.not_active", run_id=run_id))


def _no_answer(run_id: str, worker: str, patience_s: float) -> RunLocked:
    return RunLocked(
        message("control.no_reply", run_id=run_id, worker=worker or "a process", seconds=f"{patience_s:g}")
    )
