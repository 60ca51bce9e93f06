"""The functions with which programs and front ends start, retry and check a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import anyio

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.daemon_threads import run_abandonable, run_with_background, run_without_event_loop
from batch_enroll.errors import AlreadyFinished
from batch_enroll.events import Listener
from batch_enroll.ledger.interface import Ledger
from batch_enroll.models import Row, RowStatus
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run import enroll_input, retry_rows
from batch_enroll.run.approved_plan import ApprovedPlan
from batch_enroll.run.canary import CanaryReview
from batch_enroll.run.context import Confirm, RunContext, build_client, ignore_event
from batch_enroll.run.input_source import LocalInput
from batch_enroll.run.plan import PreparedRun, complete_plan, prepare_run
from batch_enroll.run.plan_limits import PlanRefusal, broken_limits
from batch_enroll.run.preflight import preflight
from batch_enroll.sending import Transport

MAX_KEPT_PROBLEM_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a dry run found."""

    plan: PlanView
    columns: tuple[str, ...]
    invalid_rows: Sequence[Row]  #: with their problems; at most `MAX_KEPT_PROBLEM_ROWS`
    input_sha256: str
    refused: tuple[PlanRefusal, ...] = ()  #: why `run` would not send it: it is finished, or the limits of the job
    finished: AlreadyFinished | None = None  #: the run that left nothing of this input to send


async def enroll_async(
    job: Job,
    source: LocalInput | str,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener = ignore_event,
    confirm: Confirm | None = None,
    look: CanaryReview | None = None,
    control: Control | None = None,
    approved: ApprovedPlan | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> RunSummary:
    """Enroll every row of a spreadsheet, or resume where the same call stopped before.

    Whatever ends the call, a cancellation too, the run is closed and its results are written, or what is raised says
    why not; the next call can begin.

    Args:
        job: the settings, from `Job.model_validate`.
        source: the spreadsheet's path, a downloaded copy, or a binary stream.
        token: the platform's API token.
        ledger: remembers what was sent, from `open_ledger`.
        emit: receives every event, in order; must return quickly.
        confirm: shown the plan, says whether to send it; None = send it.
        look: shown the counts after the canary rows; None = send the rest when none of them failed.
        control: pauses, stops and changes the run from outside; each run needs one of its own.
        approved: send only what was approved, see `run.approved_plan`; None = whatever the plan is.
        transport: replaces the network, for tests.
        clock: replaces the machine's clock, for tests.

    Returns:
        What became of the run; `exit_code` is 0, 1, 3 or 4 as the command line's.

    Raises:
        JobError: the job cannot be carried out; nothing was sent.
        InputError: the input cannot be read or used; nothing was sent.
        PreflightError: the platform says that the job cannot work; nothing was sent.
        AlreadyFinished: the same input was sent to the same scenario before; nothing was sent.
        RunDeclined: `confirm` said no; nothing was sent. A `RunStopped`.
        RunStopped: `control` stopped it before the first request, or ended the writing of the results at once.
        RuntimeError: `control` was used for another run.
        RunLocked: another process is working on this run, or with a window on this scenario.
        LedgerError: the ledger or the results cannot be written; what was sent is not lost.
    """
    context = RunContext(
        job=job,
        token=token,
        ledger=ledger,
        emit=emit,
        confirm=confirm,
        look=look,
        control=control or Control(),
        approved=approved,
        transport=transport,
        clock=clock or SystemClock(),
    )
    return await enroll_input(context, _path_if_text(source))


def enroll(
    job: Job, source: Path | BinaryIO | str, *, token: str, ledger: Ledger, emit: Listener = ignore_event
) -> RunSummary:
    """Do as `enroll_async` does and wait for the end; for programs without an event loop.

    Args:
        job: the settings, from `Job.model_validate`.
        source: the spreadsheet's path or a binary stream.
        token: the platform's API token.
        ledger: remembers what was sent, from `open_ledger`.
        emit: receives every event, in order; must return quickly.

    Returns:
        What became of the run; `exit_code` is 0, 1, 3 or 4 as the command line's.

    Raises:
        RunStopped: nothing was sent, or the ledger or the results cannot be written; its kinds are those of
            `enroll_async`.
        RuntimeError: an event loop runs in this thread, as in a notebook; the message names the call to use.
    """
    call = partial(enroll_async, job, source, token=token, ledger=ledger, emit=emit)
    return run_without_event_loop(call, name="enroll", instead="await enroll_async(...)")


def retry(
    job: Job, run_id: str, status: RowStatus, *, token: str, ledger: Ledger, emit: Listener = ignore_event
) -> RunSummary:
    """Do as `retry_async` does and wait for the end; for programs without an event loop.

    Args:
        job: the run's own settings; rate and limits may differ.
        run_id: as `runs` lists it.
        status: ERROR or NOT_SENT.
        token: the platform's API token.
        ledger: the one that recorded the run.
        emit: receives every event, in order; must return quickly.

    Returns:
        What became of the whole run, as for `enroll`.

    Raises:
        RunStopped: its kinds are those of `retry_async`.
        RuntimeError: as `enroll`.
    """
    call = partial(retry_async, job, run_id, status, token=token, ledger=ledger, emit=emit)
    return run_without_event_loop(call, name="retry", instead="await retry_async(...)")


async def retry_async(
    job: Job,
    run_id: str,
    status: RowStatus,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener = ignore_event,
    confirm: Confirm | None = None,
    look: CanaryReview | None = None,
    control: Control | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> RunSummary:
    """Send rows of an earlier run: those that were refused, or those that were not sent, which resumes the run.

    The requests are the ones that were planned; the input is not needed.

    Args:
        job: the run's own settings; rate and limits may differ.
        run_id: as `runs` lists it.
        status: ERROR or NOT_SENT.
        token: the platform's API token.
        ledger: the one that recorded the run.
        emit: receives every event, in order; must return quickly.
        confirm: shown the plan, says whether to send it; None = send it.
        look, control: as for `enroll_async`.
        transport: replaces the network, for tests.
        clock: replaces the machine's clock, for tests.

    Returns:
        What became of the whole run, as for `enroll_async`.

    Raises:
        LedgerError: there is no such run, or its kept rows are gone or damaged.
        AlreadyFinished: the run is finished and has no row that was not sent.
        JobError: as for `enroll_async`, like the next three.
        PreflightError: the platform says that the job cannot work; nothing was sent.
        RunDeclined: `confirm` said no; nothing was sent.
        RunLocked: another process is working on this run.
    """
    context = RunContext(
        job=job,
        token=token,
        ledger=ledger,
        emit=emit,
        confirm=confirm,
        look=look,
        control=control or Control(),
        transport=transport,
        clock=clock or SystemClock(),
    )
    return await retry_rows(context, run_id, status)


async def check_async(
    job: Job,
    source: LocalInput | str,
    *,
    token: str | None,
    ledger: Ledger,
    emit: Listener = ignore_event,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> CheckResult:
    """Plan a run and ask the platform about the scenario; send nothing and leave nothing behind.

    Args:
        job: the settings, from `Job.model_validate`.
        source: the spreadsheet's path, a downloaded copy, or a binary stream.
        token: the platform's API token; None = do not ask the platform.
        ledger: knows who was enrolled before; nothing is recorded in it.
        emit: receives every event, in order; must return quickly.
        transport: replaces the network, for tests.
        clock: replaces the machine's clock, for tests.

    Returns:
        The plan, the rows that cannot be sent, and the limits of the job that it exceeds.

    Raises:
        JobError: the job cannot be carried out.
        InputError: the input cannot be read or used.
        PreflightError: the platform says that the job cannot work.
        LedgerError: the ledger cannot be read.
    """
    context = RunContext(job=job, ledger=ledger, emit=emit, transport=transport, clock=clock or SystemClock())

    async def check() -> CheckResult:
        prepared = await prepare_run(context, _path_if_text(source), dry_run=True)
        try:
            scenario = None
            if token is not None:
                async with build_client(job, token, transport) as client:
                    scenario = await preflight(job, client, context.clock, suggest=True)
            plan = await complete_plan(prepared, context, scenario)
            return CheckResult(
                plan=plan,
                columns=prepared.columns,
                invalid_rows=await run_abandonable(_invalid_rows, prepared),
                input_sha256=prepared.ledger.record.input_sha256,
                refused=(*_refused_as_finished(prepared), *broken_limits(job.stop, plan)),
                finished=prepared.finished,
            )
        finally:
            with anyio.CancelScope(shield=True):
                await prepared.ledger.discard()

    return await run_with_background(check)


def _path_if_text(source: LocalInput | str) -> LocalInput:
    return Path(source) if isinstance(source, str) else source


def _refused_as_finished(prepared: PreparedRun) -> list[PlanRefusal]:
    if prepared.finished is None:
        return []
    content, advice = prepared.finished.content, prepared.finished.advice
    return [PlanRefusal(limit="already_finished", content=content, advice=next(iter(advice), None))]


def _invalid_rows(prepared: PreparedRun) -> list[Row]:
    if not prepared.counts.invalid:
        return []
    run = prepared.ledger
    rows = (staged.row for block in run.stage.blocks() for staged in block)
    return list(islice((row for row in rows if row.problems), MAX_KEPT_PROBLEM_ROWS))
