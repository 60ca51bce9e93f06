"""What the platform says of the job: before anything leaves, in the middle, and when a run stopped by itself.

In: a job and a client; for the diagnosis, how sending ended. Out: the scenario, or a `PreflightError`; one sentence
that says whether token, scenario, address or rows are the matter. Never: anything but reading; a long wait; the loss of
the first reason (the diagnosis comes after it).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio

from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.errors import (
    Finding,
    PreflightError,
    RunStopped,
    ServiceRefused,
)
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.models import RowStatus, StopCause
from batch_enroll.reporting.formatting import rows_text
from batch_enroll.run.result_files import reason_lines
from batch_enroll.run.send import SendResult
from batch_enroll.sending import (
    Client,
    CodeTable,
    ErrorClass,
    HttpAnswer,
    ScenarioInfo,
    look_up_scenario,
)
from batch_enroll.sending.scenario_check import Caller

SECOND_LOOK_S: Final = 5.0
PERMIT_TO_ASK_S: Final = 30.0  #: as long as the pace has no room for the question, or a hand holds the run

_AGAIN = "then give the same command again"
_WHAT_TO_DO = {
    Finding.TOKEN: f"Put the token right, {_AGAIN}.",
    Finding.SCENARIO_GONE: "Check the scenario's number, and whether the token's group may see it.",
    Finding.SCENARIO_OFF: f"Activate it in the platform, {_AGAIN}.",
    Finding.OUT_OF_REACH: f"Wait until the platform is there, {_AGAIN}.",
    Finding.NOT_THE_PLATFORM: "Check the address.",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the second look found."""

    finding: Finding
    message: str  #: whole sentences


async def preflight(job: Job, client: Caller, clock: Clock) -> ScenarioInfo | None:
    """Ask about the scenario, unless the job says not to.

    Raises:
        PreflightError: the job cannot work.
    """
    if job.send.skip_preflight:
        return None
    codes = CodeTable({code: ErrorClass(kind) for code, kind in job.codes})
    return await look_up_scenario(client, job.scenario, codes=codes, clock=clock)


async def ask_in_the_middle(
    job: Job, client: Client, clock: Clock, permit: Callable[[], Awaitable[None]]
) -> PreflightError | None:
    """Ask about the scenario while rows are being sent.

    Args:
        permit: waits until one more request may leave.
    Returns:
        Why no row can be enrolled any more; None when the scenario can be started, and when no answer came within
        `PERMIT_TO_ASK_S` and `SECOND_LOOK_S`: the rows' own outcomes tell what to do about a platform out of reach.
    """
    try:
        with anyio.fail_after(PERMIT_TO_ASK_S + SECOND_LOOK_S):
            await preflight(job, _Paced(client, permit), clock)
    except TimeoutError:
        return None
    except PreflightError as error:
        return None if error.finding is Finding.OUT_OF_REACH else error
    return None


class _Paced:
    """A client each of whose requests has a permit."""

    def __init__(self, client: Caller, permit: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._permit = permit

    async def call(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer:
        await self._permit()
        with anyio.fail_after(SECOND_LOOK_S):
            return await self._client.call(method, parameters)


async def diagnose(run: RunLedger, job: Job, client: Client, sent: SendResult, *, clock: Clock) -> Diagnosis | None:
    """Find out why a run stopped by itself: because of the token, the scenario, the platform or the rows.

    Returns:
        What was found, at most `SECOND_LOOK_S` seconds later; None when the run ended otherwise, or nobody may ask.
    """
    if sent.found is not None:
        return _diagnosis(sent.found.finding, sent.found.message)
    refused = isinstance(sent.trouble, ServiceRefused) and bool(sent.trouble.code)
    if job.send.skip_preflight or not (sent.trip or refused):
        return None
    try:
        with anyio.fail_after(SECOND_LOOK_S):
            scenario = await preflight(job, client, clock)
    except TimeoutError:
        said = f"it did not answer within {SECOND_LOOK_S:g} s."
        return _diagnosis(Finding.OUT_OF_REACH, said)
    except PreflightError as error:
        return _diagnosis(error.finding, error.message)
    assert scenario is not None
    name = f" {scenario.name}" if scenario.name else ""
    fine = f"it takes the token, and scenario #{scenario.scenario}{name} is active"
    match sent.trip.cause if sent.trip else None:
        case StopCause.ERRORS | StopCause.NEW_ERROR | StopCause.TOKEN:
            return _diagnosis(Finding.ROWS, f"{fine}, so the rows are the matter.{await _most_often(run)}")
        case StopCause.UNKNOWN:
            more = "only the starts get no clear answer. Look a few of the unknown rows up before you go on."
            return _diagnosis(Finding.FINE, f"{fine}; {more}")
        case StopCause.OUT_OF_REACH:
            return _diagnosis(Finding.FINE, f"{fine}; it is in reach again. Give the same command again.")
        case _:
            return _diagnosis(Finding.FINE, f"{fine}; it is only the start that it refuses.")


def _diagnosis(finding: Finding, said: str) -> Diagnosis:
    return Diagnosis(finding, f"The platform was asked again: {said} {_WHAT_TO_DO.get(finding, '')}".rstrip())


async def _most_often(run: RunLedger) -> str:
    try:
        reasons = await reason_lines(run)
    except RunStopped:  # the ledger's own trouble is told elsewhere
        return ""
    top = next((reason for reason in reasons if reason.status is RowStatus.ERROR), None)
    return f" Most often: {top.message.rstrip('.')} ({top.code}), {rows_text(top.count)}." if top else ""
