"""What the platform says of the job: before anything leaves, and once more when a run stopped by itself.

In: a job and a client; for the second look, how sending ended. Out: the scenario, or a `PreflightError`; one sentence
that says whether token, scenario, address or rows are the matter. Never: anything but reading; a long wait; the loss of
the first reason (the second look comes after it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from batch_enroll.clock import Clock
from batch_enroll.errors import Finding, PreflightError, RunStopped, ServiceRefused
from batch_enroll.job import Job
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.model import RowStatus
from batch_enroll.reporting.words import rows_text
from batch_enroll.running.report import reason_lines
from batch_enroll.running.send import Sent
from batch_enroll.sending import Cause, Class, Client, CodeTable, ScenarioInfo, look_up_scenario

SECOND_LOOK_S: Final = 5.0

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


async def preflight(job: Job, client: Client, clock: Clock) -> ScenarioInfo | None:
    """Ask about the scenario, unless the job says not to.

    Raises:
        PreflightError: the job cannot work.
    """
    if job.send.skip_preflight:
        return None
    codes = CodeTable({code: Class(kind) for code, kind in job.codes})
    return await look_up_scenario(client, job.scenario, codes=codes, clock=clock)


async def diagnose(run: RunLedger, job: Job, client: Client, sent: Sent, *, clock: Clock) -> Diagnosis | None:
    """Find out why a run stopped by itself: because of the token, the scenario, the platform or the rows.

    Returns:
        What was found, at most `SECOND_LOOK_S` seconds later; None when the run ended otherwise, or nobody may ask.
    """
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
        case Cause.ERRORS | Cause.NEW_ERROR | Cause.TOKEN:
            return _diagnosis(Finding.ROWS, f"{fine}, so the rows are the matter.{await _most_often(run)}")
        case Cause.UNKNOWN:
            more = "only the starts get no clear answer. Look a few of the unknown rows up before you go on."
            return _diagnosis(Finding.FINE, f"{fine}; {more}")
        case Cause.OUT_OF_REACH:
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
