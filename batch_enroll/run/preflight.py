"""Ask the platform about the job: before anything is sent, during the sending, and when a run stopped by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio

from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.errors import PreflightError, RunStopped
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.messages import Message, message
from batch_enroll.models import Finding, RowStatus, StopCause, StopReason
from batch_enroll.run.context import build_client
from batch_enroll.run.result_files import reason_lines
from batch_enroll.sending import (
    Client,
    CodeTable,
    ErrorClass,
    HttpAnswer,
    MethodCaller,
    ScenarioInfo,
    check_scenario,
    list_scenarios,
)

ANSWER_S: Final = 5.0  #: for the platform's answer
PERMIT_S: Final = 30.0  #: for a permit of the rate limiter: the rate may be low, or the run paused


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a run stopped by itself, as far as the platform says it."""

    finding: Finding
    content: Message

    @property
    def message(self) -> str:
        """Whole sentences, in the current wording."""
        return str(self.content)


_ADVICE = {
    Finding.TOKEN: "sending.correct_token",
    Finding.SCENARIO_GONE: "sending.check_scenario_number",
    Finding.SCENARIO_OFF: "sending.activate_scenario",
    Finding.OUT_OF_REACH: "sending.wait_for_platform",
    Finding.NOT_THE_PLATFORM: "sending.check_address",
}


async def preflight(job: Job, client: MethodCaller, clock: Clock, *, suggest: bool = False) -> ScenarioInfo | None:
    """Ask about the scenario, unless the job says not to.

    Args:
        suggest: name the near scenarios when there is none of the job's number.
    Raises:
        PreflightError: the job cannot work.
    """
    if job.send.skip_preflight:
        return None
    return await check_scenario(client, job.scenario, codes=_codes(job), clock=clock, suggest=suggest)


async def scenarios_of_platform(job: Job, token: str, clock: Clock) -> tuple[ScenarioInfo, ...]:
    """List the scenarios that the token may see; of the job only the way to the platform counts.

    Raises:
        PreflightError: they cannot be listed.
    """
    async with build_client(job, token, None) as client:
        return await list_scenarios(client, codes=_codes(job), clock=clock)


def _codes(job: Job) -> CodeTable:
    return CodeTable({code: ErrorClass(kind) for code, kind in job.codes})


async def ask_while_sending(
    job: Job, client: Client, clock: Clock, permit: Callable[[], Awaitable[None]]
) -> PreflightError | None:
    """Ask about the scenario while rows are being sent.

    Args:
        permit: waits until one more request may leave.
    Returns:
        Why no row can be enrolled any more; None when the scenario can be started, and when no answer came within
        `PERMIT_S` and `ANSWER_S`: the rows' own outcomes show that a platform is out of reach.
    """
    try:
        with anyio.fail_after(PERMIT_S + ANSWER_S):
            await preflight(job, _LimitedCaller(client, permit), clock)
    except TimeoutError:
        return None
    except PreflightError as error:
        return None if error.finding is Finding.OUT_OF_REACH else error
    return None


class _LimitedCaller:
    """A client that waits for a permit before each request."""

    def __init__(self, client: MethodCaller, permit: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._permit = permit

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer:
        await self._permit()
        with anyio.fail_after(ANSWER_S):
            return await self._client.call_method(method, parameters)


async def diagnose(
    run: RunLedger, job: Job, client: Client, reason: StopReason | None, *, clock: Clock
) -> Diagnosis | None:
    """Find out whether token, scenario, platform or rows are why a run stopped by itself.

    Args:
        reason: why the run stopped; None when it was sent to its end.
    Returns:
        What was found, at most `ANSWER_S` seconds later; None when the run ended otherwise, or the platform may not be
        asked.
    """
    if reason is None:
        return None
    if reason.finding is not None and reason.answer is not None:
        return _diagnosis(reason.finding, reason.answer)
    if job.send.skip_preflight or not (reason.cause.is_breaker or reason.code):
        return None
    try:
        with anyio.fail_after(ANSWER_S):
            scenario = await preflight(job, client, clock)
    except TimeoutError:
        return _diagnosis(Finding.OUT_OF_REACH, message("sending.no_answer_in_time", seconds=f"{ANSWER_S:g}"))
    except PreflightError as error:
        said = error.content
        if error.finding is Finding.OUT_OF_REACH:
            said = message("sending.gave_no_answer", text=said.values["text"], code=said.values["code"])
        return _diagnosis(error.finding, said)
    assert scenario is not None
    name = f" {scenario.name}" if scenario.name else ""
    fine = message("sending.scenario_is_fine", scenario=scenario.scenario, name=name)
    match reason.cause:
        case StopCause.ERRORS | StopCause.NEW_ERROR | StopCause.TOKEN:
            return _diagnosis(Finding.ROWS, await _rows_at_fault(run, fine))
        case StopCause.UNKNOWN:
            return _diagnosis(Finding.FINE, message("sending.fine_but_unclear", fine=fine))
        case StopCause.OUT_OF_REACH:
            return _diagnosis(Finding.FINE, message("sending.fine_again", fine=fine))
        case _:
            return _diagnosis(Finding.FINE, message("sending.fine_but_refused", fine=fine))


def _diagnosis(finding: Finding, content: Message) -> Diagnosis:
    advice = _ADVICE.get(finding)
    if advice is None:
        return Diagnosis(finding, message("sending.diagnosis", said=content))
    return Diagnosis(finding, message("sending.diagnosis_with_advice", said=content, advice=message(advice)))


async def _rows_at_fault(run: RunLedger, fine: Message) -> Message:
    try:
        reasons = await reason_lines(run)
    except RunStopped:  # the ledger's own trouble is reported elsewhere
        reasons = ()
    top = next((reason for reason in reasons if reason.status is RowStatus.ERROR), None)
    if top is None:
        return message("sending.rows_at_fault", fine=fine)
    text, count = str(top.message).rstrip("."), top.count
    return message("sending.rows_at_fault_mostly", fine=fine, text=text, code=top.code, count=count)
