"""A run: plan, preflight, send, report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import anyio

from batch_enroll.background import (
    entered,
    run_abandonable,
    run_in_thread,
    run_with_background,
)
from batch_enroll.clock import Clock, SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import RunStopped
from batch_enroll.events import Event, Listener, RunPlanned
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.staging import staged_rows
from batch_enroll.models import DownloadedInput, Row, RowStatus
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.reporting.result_paths import check_writable, result_paths
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run.approved_plan import ApprovedPlan, check_job_matches_approved, check_plan_matches_approved
from batch_enroll.run.baseline import load_baseline
from batch_enroll.run.canary import CanaryReview
from batch_enroll.run.client_factory import build_client
from batch_enroll.run.input_archive import archived, check_archive
from batch_enroll.run.job_locks import scenario_lock
from batch_enroll.run.life_cycle import RunContext, reported, undo_on_error
from batch_enroll.run.plan import (
    PreparedRun,
    prepare_run,
    requeue,
    resume_run,
)
from batch_enroll.run.plan_limits import (
    PlanLimitExceeded,
    PlanRefusal,
    broken_limits,
    check_allowed_hours,
)
from batch_enroll.run.plan_view import build_plan_view
from batch_enroll.run.preflight import ask_in_the_middle, diagnose, preflight
from batch_enroll.run.result_files import input_path_of, result_paths_for
from batch_enroll.run.run_identity import path_text, readable
from batch_enroll.run.send import send_rows
from batch_enroll.sending import ScenarioInfo, Transport
from batch_enroll.versions import tool_version

Confirm = Callable[[PlanView], Awaitable[bool]]


class RunDeclined(RunStopped):
    """The person looked at the plan and said no; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What a dry run found."""

    plan: PlanView
    columns: tuple[str, ...]
    invalid_rows: Sequence[Row]  #: with their problems; at most `MAX_KEPT_PROBLEM_ROWS`
    input_sha256: str
    refused: tuple[PlanRefusal, ...] = ()  #: the limits of the job for which `run` would not send it


MAX_KEPT_PROBLEM_ROWS = 100_000


def _silent(event: Event) -> None:
    """Listen to nothing."""


async def enroll_async(
    job: Job,
    source: Path | BinaryIO | DownloadedInput,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener = _silent,
    confirm: Confirm | None = None,
    look: CanaryReview | None = None,
    control: Control | None = None,
    approved: ApprovedPlan | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> RunSummary:
    """Enroll every row of a spreadsheet, or carry on where the same call stopped before.

    Args:
        job: the settings, from `build_job` or `Job.model_validate`.
        source: the spreadsheet's path, a copy of one that lies elsewhere, or a binary stream.
        token: the platform's API token.
        ledger: remembers what was sent: `SqliteLedger(path)`; one in a temporary folder forgets it.
        emit: hears every event, in order; must return quickly.
        confirm: shown the plan, says whether to go on; None = go on.
        look: shown the counts after the canary rows; None = go on when none of them failed.
        control: pauses, stops and changes the run from outside; each run needs one of its own.
        approved: send only what was approved, see `planning.plan_file`; None = whatever the plan is.
        transport: takes the place of the network, for tests.
        clock: takes the place of the machine's clock, for tests.
    Whatever ends the call, a cancellation too, the run is closed and its results are written, or what is raised says
    why not; the next call can begin.

    Returns:
        What became of the run; `exit_code` is 0, 1, 3 or 4 as the command line's.
    Raises:
        JobError, InputError, PreflightError, AlreadyFinished, Declined: nothing was sent.
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
        control=control or Control(),
        transport=transport,
        clock=clock or SystemClock(),
    )

    async def enroll() -> RunSummary:
        await context.until_stopped(lambda: _check_before_reading(context, source, approved))
        async with entered(scenario_lock(job, ledger)):
            planned = await context.until_stopped(lambda: _plan(context, source))
            summary = await _execute(planned, context, confirm=confirm, look=look, approved=approved)
            sha256 = planned.ledger.record.input_sha256
            return await run_in_thread(lambda: archived(summary, source, job, sha256=sha256))

    return await context.supervise(enroll)


async def retry_async(
    job: Job,
    run_id: str,
    status: RowStatus,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener = _silent,
    confirm: Confirm | None = None,
    control: Control | None = None,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> RunSummary:
    """Send rows of an earlier run in a new wave: those that were refused, or those that were not sent.

    Args:
        job: the run's own settings; pace and limits may differ.
        run_id: as `runs` lists it.
        status: ERROR or NOT_SENT.
        token, ledger, emit, confirm, control, transport, clock: as for `enroll_async`.
    Raises:
        LedgerError: there is no such run, or its kept rows are gone or damaged.
        PreflightError, Declined, RunLocked, JobError: as for `enroll_async`.
    """
    context = RunContext(
        job=job,
        token=token,
        ledger=ledger,
        emit=emit,
        control=control or Control(),
        transport=transport,
        clock=clock or SystemClock(),
    )

    async def retry() -> RunSummary:
        check_allowed_hours(job, context.clock.now())
        async with entered(scenario_lock(job, ledger)):
            planned = await context.until_stopped(lambda: resume_run(ledger, run_id, again=status, clock=context.clock))
            return await _execute(planned, context, confirm=confirm, look=None, approved=None)

    return await context.supervise(retry)


async def _check_before_reading(
    context: RunContext, source: Path | BinaryIO | DownloadedInput, approved: ApprovedPlan | None
) -> None:
    """Find what makes the run impossible before a million rows are read."""
    job, now = context.job, context.clock.now()
    if isinstance(source, Path | DownloadedInput):
        paths = result_paths(path_text(source), run_id="new", results=job.output.results)
        own = source if isinstance(source, Path) else None
        await run_abandonable(lambda: check_writable(paths, source=own))
    check_allowed_hours(job, now)
    check_job_matches_approved(approved, job, readable(source))
    if job.input.archive is not None:
        await run_abandonable(check_archive, job.input.archive, source)
    await context.ledger.delete_staged_rows(before=now - timedelta(days=job.output.keep))


async def _plan(context: RunContext, source: Path | BinaryIO | DownloadedInput) -> PreparedRun:
    return await prepare_run(
        context.job,
        source,
        ledger=context.ledger,
        clock=context.clock,
        emit=context.emit,
        tool_version=tool_version(),
    )


async def _execute(
    planned: PreparedRun,
    context: RunContext,
    *,
    confirm: Confirm | None,
    look: CanaryReview | None,
    approved: ApprovedPlan | None,
) -> RunSummary:
    """Take a plan through preflight, question, sending and report."""
    run, job, control, clock, emit = planned.ledger, context.job, context.control, context.clock, context.emit
    async with AsyncExitStack() as stack:
        async with undo_on_error(planned):
            emit(_planned_event(planned, clock.now()))
            client = await stack.enter_async_context(build_client(job, context.token, context.transport))
            paths = result_paths_for(run, job.output.results)
            await context.until_stopped(
                lambda: run_abandonable(
                    lambda: check_writable(paths, rows=planned.plan.counts.rows, source=input_path_of(run))
                )
            )
            scenario = None
            with control.stoppable():
                scenario = await preflight(job, client, clock)
            if not control.reason:
                view = await _seen(planned, job, scenario, ledger=context.ledger, approved=approved, now=clock.now())
                if confirm is not None and not await context.until_stopped(partial(confirm, view)):
                    raise RunDeclined("Nothing was sent.")
            check_allowed_hours(job, clock.now())  # once more: a person may take an evening to answer
            await requeue(planned, clock, stop_reason=control.reason)  # last: from here on nothing refuses
        async with reported(run, context, paths=paths, scenario=scenario) as report:
            ask = None if job.send.skip_preflight else partial(ask_in_the_middle, job, client, clock)
            await send_rows(
                run, job, client.start, clock=clock, emit=emit, control=control, sent=report.sent, look=look, ask=ask
            )
            report.sending_ended()
            if not control.is_broken_off:
                with control.stoppable():
                    if diagnosis := await diagnose(run, job, client, report.sent, clock=clock):
                        report.diagnosed(diagnosis)
    return report.summary


def _planned_event(planned: PreparedRun, now: datetime) -> RunPlanned:
    record = planned.ledger.record
    return RunPlanned(
        at=now,
        run_id=record.run_id,
        resumed=planned.plan.resumed,
        counts=planned.plan.counts,
        folder=planned.ledger.folder,
        input_name=record.input_name,
        input_sha256=record.input_sha256,
    )


async def _seen(
    planned: PreparedRun,
    job: Job,
    scenario: ScenarioInfo | None,
    *,
    ledger: Ledger,
    approved: ApprovedPlan | None,
    now: datetime,
) -> PlanView:
    """Look at a plan as people will, and hold it against the job's limits and against what was approved.

    Raises:
        JobError, PlanRefused: it may not be sent.
    """
    record = planned.ledger.record
    usual = None
    if not planned.plan.resumed:
        usual = await load_baseline(ledger, job, path=record.input_path, run_id=record.run_id)
    view = build_plan_view(planned.plan, job, scenario, input_name=record.input_name, usual=usual, now=now)
    view = check_plan_matches_approved(approved, view, sha256=record.input_sha256)
    if refusals := broken_limits(job.stop, view):
        raise PlanLimitExceeded(refusals, view)
    return view


def enroll(job: Job, source: Path | BinaryIO, *, token: str, ledger: Ledger, emit: Listener = _silent) -> RunSummary:
    """Do as `enroll_async` does and wait for the end; for programs without an event loop."""
    return anyio.run(partial(enroll_async, job, source, token=token, ledger=ledger, emit=emit))


async def check_async(
    job: Job,
    source: Path | BinaryIO | DownloadedInput,
    *,
    token: str | None,
    ledger: Ledger,
    emit: Listener = _silent,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> CheckResult:
    """Plan and ask the platform about the scenario; send nothing and leave nothing behind.

    Args:
        token: None leaves the platform out.
        job, source, ledger, emit, transport, clock: as for `enroll_async`.
    Raises:
        JobError, InputError, PreflightError, LedgerError: as for `enroll_async`.
    """
    clock = clock or SystemClock()

    async def check() -> CheckResult:
        planned = await prepare_run(
            job, source, ledger=ledger, clock=clock, emit=emit, tool_version=tool_version(), dry_run=True
        )
        try:
            scenario = None
            if token is not None:
                async with build_client(job, token, transport) as client:
                    scenario = await preflight(job, client, clock)
            record = planned.ledger.record
            usual = await load_baseline(ledger, job, path=path_text(source), run_id=record.run_id)
            view = build_plan_view(
                planned.plan, job, scenario, input_name=record.input_name, usual=usual, now=clock.now()
            )
            return CheckResult(
                plan=view,
                columns=planned.plan.columns,
                invalid_rows=await run_abandonable(_invalid_rows, planned),
                input_sha256=record.input_sha256,
                refused=broken_limits(job.stop, view),
            )
        finally:
            with anyio.CancelScope(shield=True):
                await planned.ledger.discard()

    return await run_with_background(check)


def _invalid_rows(planned: PreparedRun) -> list[Row]:
    if not planned.plan.counts.invalid:
        return []
    run = planned.ledger
    rows = (staged.row for block in staged_rows(run.folder, rows=run.record.rows) for staged in block)
    return list(islice((row for row in rows if row.problems), MAX_KEPT_PROBLEM_ROWS))
