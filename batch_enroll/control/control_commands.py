"""What somebody wishes of a run that goes: done, and told in words.

In: a request and the run's `Control`. Out: an answer that says truthfully what came of it. Never: a file, a wait.
"""

from __future__ import annotations

from typing import assert_never

from batch_enroll.config.load import build_pace
from batch_enroll.control.mailbox import ControlCommand, ControlReply, ControlRequest
from batch_enroll.control.run_control import Control, ControlStatus
from batch_enroll.errors import JobError
from batch_enroll.reporting.formatting import rate_text


def handle_command(request: ControlRequest, control: Control, *, run_id: str) -> ControlReply:
    """Do what a request wishes, and say truthfully what came of it."""
    before, was_stopping = control.standing(), bool(control.reason)
    done, trouble = _do(request, control)
    after = control.standing()
    assert before is not None, "only a run that sends, or will, looks for requests"
    assert after is not None
    if trouble:
        said = f"was not changed: {trouble}"
    elif was_stopping:
        said = f"takes no more rows already; {_flying(after)}."
    elif after.is_over:
        said = "has no row left to send; it ends when its results are written."
    elif not after.is_sending:
        said = _told_ahead(request.wish, before, after)
    else:
        said = _told(request.wish, before, after)
    return ControlReply(
        run=run_id,
        asked=request.wish.value,
        done=done,
        said=f"Run {run_id} {said}",
        paused=after.is_paused,
        rate_per_s=after.rate_per_s,
        concurrency=after.concurrency,
        in_flight=after.in_flight,
        stop_reason=control.reason or None,
    )


def _do(request: ControlRequest, control: Control) -> tuple[bool, str]:
    """Give whether things are as wished now, and what is wrong with the wish."""
    now = control.standing()
    if control.reason or (now is not None and now.is_over):
        return request.wish is ControlCommand.STOP, ""
    match request.wish:
        case ControlCommand.SET:
            try:
                pace = build_pace(request.pace)
            except JobError as error:
                return False, error.message
            if "rate" in request.pace:
                control.set_rate(pace.rate)
            if "concurrency" in request.pace:
                control.set_concurrency(pace.concurrency)
        case ControlCommand.PAUSE:
            control.pause()
        case ControlCommand.RESUME:
            control.resume()
        case ControlCommand.STOP:
            control.stop("Stopped by `stop`.")
        case _:
            assert_never(request.wish)
    return True, ""


def _told_ahead(wish: ControlCommand, before: ControlStatus, after: ControlStatus) -> str:
    """Say what will be, of a run whose plan is still made or whose preflight goes on."""
    match wish:
        case ControlCommand.SET:
            resumed = " once it is resumed" if after.is_paused else ""
            return f"does not send yet; it will send {_pace(after)}{resumed}."
        case ControlCommand.PAUSE:
            return "does not send yet, and will not before it is resumed."
        case ControlCommand.RESUME:
            was = "" if before.is_paused else "was not paused; it "
            return f"{was}does not send yet; it will by itself: {_pace(after)}."
        case ControlCommand.STOP:
            return "ends before it sends."
    assert_never(wish)


def _pace(standing: ControlStatus) -> str:
    rate = "without a limit" if standing.rate_per_s is None else f"{rate_text(standing.rate_per_s)} a second"
    return f"{rate}, {standing.concurrency:,} at once"


def _told(wish: ControlCommand, before: ControlStatus, after: ControlStatus) -> str:
    pace = _pace(after)
    match wish:
        case ControlCommand.SET:
            return f"is paused; when it goes on it sends {pace}." if after.is_paused else f"now sends {pace}."
        case ControlCommand.PAUSE:
            return f"is paused{' already' if before.is_paused else ''}; {_flying(after)}."
        case ControlCommand.RESUME:
            return f"goes on: {pace}." if before.is_paused else f"was not paused; it sends {pace}."
        case ControlCommand.STOP:
            return f"takes no more rows; {_flying(after)}."
    assert_never(wish)


def _flying(standing: ControlStatus) -> str:
    match standing.in_flight:
        case 0:
            return "no answer is in flight"
        case 1:
            return "1 answer is still in flight"
        case many:
            return f"{many:,} answers are still in flight"
