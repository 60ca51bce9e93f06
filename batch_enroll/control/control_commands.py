"""Apply a control request to the run's `Control` and describe the result."""

from __future__ import annotations

from typing import assert_never

from batch_enroll.config.load import build_rate_settings
from batch_enroll.control.control_files import ControlCommand, ControlReply, ControlRequest
from batch_enroll.control.run_control import Control, ControlStatus
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message
from batch_enroll.reporting.formatting import rate_text


def handle_command(request: ControlRequest, control: Control, *, run_id: str) -> ControlReply:
    """Do what a request asks for, and reply with what was done and the state afterwards."""
    before, was_stopping = control.standing(), bool(control.reason)
    done, problem = _apply(request, control)
    after = control.standing()
    assert before is not None, "a run reads requests only between `expect` and its end"
    assert after is not None
    if problem is not None:
        said = message("control.not_changed", problem=problem)
    elif was_stopping:
        said = message("control.stopping_already", in_flight=_in_flight(after))
    elif after.is_over:
        said = message("control.over")
    else:
        said = _result(request.command, before, after)
    return ControlReply(
        run=run_id,
        asked=request.command.value,
        done=done,
        said=str(message("control.reply", run_id=run_id, said=said)),
        paused=after.is_paused,
        rate_per_s=after.rate_per_s,
        concurrency=after.concurrency,
        in_flight=after.in_flight,
        stop_reason=control.reason or None,
    )


def _apply(request: ControlRequest, control: Control) -> tuple[bool, Message | None]:
    """Apply a request; give whether the run is now as asked, and what is wrong with the request."""
    now = control.standing()
    if control.reason or (now is not None and now.is_over):
        return request.command is ControlCommand.STOP, None
    match request.command:
        case ControlCommand.SET:
            try:
                pace = build_rate_settings(request.pace)
            except JobError as error:
                return False, error.content
            if "rate" in request.pace:
                control.set_rate(pace.rate)
            if "concurrency" in request.pace:
                control.set_concurrency(pace.concurrency)
        case ControlCommand.PAUSE:
            control.pause()
        case ControlCommand.RESUME:
            control.resume()
        case ControlCommand.STOP:
            control.stop(message("control.stopped_by_command"))
        case _:
            assert_never(request.command)
    return True, None


def _result(command: ControlCommand, before: ControlStatus, after: ControlStatus) -> Message:
    rate, in_flight = _rate(after), _in_flight(after)
    match command, after.is_sending:
        case ControlCommand.SET, False:
            return message(
                "control.set_before_sending_paused" if after.is_paused else "control.set_before_sending", rate=rate
            )
        case ControlCommand.SET, True:
            return message("control.set_paused" if after.is_paused else "control.set", rate=rate)
        case ControlCommand.PAUSE, False:
            return message("control.paused_before_sending")
        case ControlCommand.PAUSE, True:
            return message("control.paused_already" if before.is_paused else "control.paused", in_flight=in_flight)
        case ControlCommand.RESUME, False:
            was_paused = before.is_paused
            return message(
                "control.resumed_before_sending" if was_paused else "control.not_paused_before_sending", rate=rate
            )
        case ControlCommand.RESUME, True:
            return message("control.resumed" if before.is_paused else "control.not_paused", rate=rate)
        case ControlCommand.STOP, False:
            return message("control.ends_before_sending")
    return message("control.stopping", in_flight=in_flight)


def _rate(status: ControlStatus) -> Message:
    if status.rate_per_s is None:
        return message("control.unlimited", concurrency=status.concurrency)
    return message("control.rate", rate=rate_text(status.rate_per_s), concurrency=status.concurrency)


def _in_flight(status: ControlStatus) -> Message:
    match status.in_flight:
        case 0:
            return message("control.none_in_flight")
        case 1:
            return message("control.one_in_flight")
    return message("control.in_flight", count=status.in_flight)
