"""A run: plan -> preflight -> send -> report, joined here and nowhere else.

In: a `Job`, an input and a token. Out: a `RunSummary`, the files beside the input, and events on the way.
Never: a screen (listeners show what happens), a question (the caller's `confirm` and `look` are asked instead).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import anyio

from batch_enroll.atomic_file import file_mode_from
from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import RunStopped
from batch_enroll.events import Diagnosed, Event, Listener, RunFinished, RunPlanned
from batch_enroll.installed import tool_version
from batch_enroll.job import Job
from batch_enroll.ledger.interface import Ledger, RunLedger, RunState
from batch_enroll.ledger.staging import forget_rows, staged_rows
from batch_enroll.model import Fetched, Row, RowStatus
from batch_enroll.planning.identity import path_text, readable
from batch_enroll.planning.limits import PlanRefused, Refusal, broken_limits, see_hours
from batch_enroll.planning.locks import alone_in_window
from batch_enroll.planning.plan import Planned, carry_on, make_plan, take_back
from batch_enroll.planning.plan_file import ApprovedPlan, see_job_as_approved, see_plan_as_approved
from batch_enroll.planning.usual import usual_of
from batch_enroll.planning.view import view_of
from batch_enroll.reporting.paths import check_writable, result_paths
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.reporting.summary import RunEnd, RunSummary, exit_code_for, write_summary
from batch_enroll.reporting.words import begun_before_text
from batch_enroll.running.archive import archived, check_archive
from batch_enroll.running.canary import Look
from batch_enroll.running.connection import client_of
from batch_enroll.running.preflight import ask_in_the_middle, diagnose, preflight
from batch_enroll.running.report import input_of, paths_of, reason_lines, write_files
from batch_enroll.running.send import send_rows
from batch_enroll.sending import ScenarioInfo, Transport, restore
from batch_enroll.steering.beside import beside
from batch_enroll.steering.control import Control
from batch_enroll.steering.desk import Desk

Confirm = Callable[[PlanView], Awaitable[bool]]


class Declined(RunStopped):
    """The person looked at the plan and said no; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a dry run found."""

    plan: PlanView
    columns: tuple[str, ...]
    invalid_rows: Sequence[Row]  #: with their problems; at most `MAX_KEPT_PROBLEM_ROWS`
    input_sha256: str
    refused: tuple[Refusal, ...] = ()  #: the limits of the job for which `run` would not send it


MAX_KEPT_PROBLEM_ROWS = 100_000


def _silent(event: Event) -> None:
    """Listen to nothing."""


async def enroll_async(
    job: Job,
    source: Path | BinaryIO | Fetched,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener = _silent,
    confirm: Confirm | None = None,
    look: Look | None = None,
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
        ledger: remembers what was sent: `open_ledger(path)`; to forget it, a `SqliteLedger` in a temporary folder.
        emit: hears every event, in order; must return quickly.
        confirm: shown the plan, says whether to go on; None = go on.
        look: shown the counts after the canary rows; None = go on when none of them failed.
        control: steers the run from outside, and stops it.
        approved: send only what was approved, see `planning.plan_file`; None = whatever the plan is.
        transport: takes the place of the network, for tests.
        clock: takes the place of the machine's clock, for tests.
    Returns:
        What became of the run; `exit_code` is 0, 1, 3 or 4 as the command line's.
    Raises:
        JobError, InputError, PreflightError, AlreadyFinished, Declined: nothing was sent.
        RunStopped: `control` stopped it while the plan was made; nothing was sent.
        RunLocked: another process is working on this run, or with a window on this scenario.
        LedgerError: the ledger or the results cannot be written; what was sent is not lost.
    """
    clock = clock or SystemClock()
    if isinstance(source, Path | Fetched):  # a folder that cannot be written is told before a million rows are read
        paths = result_paths(path_text(source), run_id="new", results=job.output.results)
        check_writable(paths, source=source if isinstance(source, Path) else None)
    see_hours(job, clock.now())
    see_job_as_approved(approved, job, readable(source))
    if job.input.archive is not None:
        check_archive(job.input.archive, source)
    control = control or Control()
    desk = Desk(control, clock=clock)
    emit = desk.hearing(emit)
    control.expect(rate_per_s=job.send.rate, concurrency=job.send.concurrency)
    await ledger.forget_rows(before=clock.now() - timedelta(days=job.output.keep))
    with alone_in_window(job, ledger):
        plan = partial(
            make_plan,
            job,
            source,
            ledger=ledger,
            clock=clock,
            emit=emit,
            tool_version=tool_version(),
            stop_reason=lambda: control.reason,
        )
        planned = await beside(plan, desk.keep_watch)
        summary = await _go_through(
            planned,
            job,
            token=token,
            ledger=ledger,
            emit=emit,
            confirm=confirm,
            look=look,
            control=control,
            desk=desk,
            approved=approved,
            transport=transport,
            clock=clock,
        )
        return archived(summary, source, job, sha256=planned.ledger.record.input_sha256)


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
    clock = clock or SystemClock()
    control = control or Control()
    desk = Desk(control, clock=clock)
    emit = desk.hearing(emit)
    control.expect(rate_per_s=job.send.rate, concurrency=job.send.concurrency)
    see_hours(job, clock.now())
    with alone_in_window(job, ledger):
        planned = await carry_on(ledger, run_id, again=status, clock=clock)
        return await _go_through(
            planned,
            job,
            token=token,
            ledger=ledger,
            emit=emit,
            confirm=confirm,
            look=None,
            control=control,
            desk=desk,
            transport=transport,
            clock=clock,
        )


async def _go_through(
    planned: Planned,
    job: Job,
    *,
    token: str,
    ledger: Ledger,
    emit: Listener,
    confirm: Confirm | None,
    look: Look | None,
    control: Control,
    desk: Desk,
    approved: ApprovedPlan | None = None,
    transport: Transport | None,
    clock: Clock,
) -> RunSummary:
    """Take a plan through preflight, sending and report; the run is put away whatever happens."""
    run = planned.ledger
    emit(
        RunPlanned(
            at=clock.now(),
            run_id=run.record.run_id,
            resumed=planned.plan.resumed,
            counts=planned.plan.counts,
            folder=run.folder,
            input_name=run.record.input_name,
            input_sha256=run.record.input_sha256,
        )
    )
    async with client_of(job, token, transport) as client:
        try:
            paths = paths_of(run, job.output.results)
            check_writable(paths, rows=planned.plan.counts.rows, source=input_of(run))
            scenario = await beside(lambda: preflight(job, client, clock), desk.keep_watch)
            view = await _seen(planned, job, scenario, ledger=ledger, approved=approved, now=clock.now())
            is_wanted = not control.reason  # else it stops at once, and there is nothing to ask
            if is_wanted and confirm is not None and not await confirm(view):
                raise Declined("Nothing was sent.")
            see_hours(job, clock.now())  # once more: a person may take an evening to answer
            await take_back(planned, clock, stop_reason=control.reason)  # last: from here on nothing refuses
        except BaseException as error:
            await _put_away(planned)
            if isinstance(error, RunStopped) and planned.plan.resumed:
                error.hint = f"{error.hint} {begun_before_text(planned.plan.counts)}".strip()
            raise
        started_at, began = clock.now(), clock.monotonic()
        ask = None if job.send.skip_preflight else partial(ask_in_the_middle, job, client, clock)
        sent = await send_rows(run, job, client.start, clock=clock, emit=emit, control=control, look=look, ask=ask)
        duration_s = clock.monotonic() - began
        diagnosis = None if control.is_broken_off else await diagnose(run, job, client, sent, clock=clock)
    reason = restore(control.reason, "…")
    if diagnosis is not None:
        emit(Diagnosed(at=clock.now(), finding=diagnosis.finding, message=diagnosis.message))
        reason = f"{reason} {diagnosis.message}"
    is_written = False
    try:
        counts = await run.counts()
        written = await write_files(run, paths)
        summary = RunSummary(
            run_id=run.record.run_id,
            end=RunEnd.STOPPED if counts.not_sent else RunEnd.FINISHED,
            stop_reason=reason,
            finding=diagnosis.finding if diagnosis else "",
            exit_code=(control.exit_code if counts.not_sent else None) or exit_code_for(counts, stopped=False),
            counts=counts,
            planned_rows=run.record.rows,
            requests=sent.requests,
            started_at=started_at,
            duration_s=duration_s,
            url=job.url,
            scenario=job.scenario,
            scenario_name=scenario.name if scenario else "",
            input_name=run.record.input_name,
            reasons=await reason_lines(run),
            results=written.results,
            failed=written.failed,
            unknown=written.unknown,
            summary=paths.summary,
        )
        write_summary(paths.summary, summary, mode=file_mode_from(input_of(run), earlier=paths.results))
        is_written = True
    finally:
        await _close(run, reason, clock, results=paths.results, is_written=is_written)
    if job.output.keep == 0 and summary.end is RunEnd.FINISHED:
        forget_rows(run.folder)
    emit(RunFinished(at=clock.now(), run_id=summary.run_id, counts=counts))
    return summary


async def _seen(
    planned: Planned,
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
        usual = await usual_of(ledger, job, path=record.input_path, run_id=record.run_id)
    view = view_of(planned.plan, job, scenario, input_name=record.input_name, usual=usual, now=now)
    view = see_plan_as_approved(approved, view, sha256=record.input_sha256)
    if refusals := broken_limits(job.stop, view):
        raise PlanRefused(refusals, view)
    return view


def enroll(job: Job, source: Path | BinaryIO, *, token: str, ledger: Ledger, emit: Listener = _silent) -> RunSummary:
    """Do as `enroll_async` does and wait for the end; for programs without an event loop."""
    return anyio.run(partial(enroll_async, job, source, token=token, ledger=ledger, emit=emit))


async def check_async(
    job: Job,
    source: Path | BinaryIO | Fetched,
    *,
    token: str | None,
    ledger: Ledger,
    emit: Listener = _silent,
    transport: Transport | None = None,
    clock: Clock | None = None,
) -> Checked:
    """Plan and ask the platform about the scenario; send nothing and leave nothing behind.

    Args:
        token: None leaves the platform out.
        job, source, ledger, emit, transport, clock: as for `enroll_async`.
    Raises:
        JobError, InputError, PreflightError, LedgerError: as for `enroll_async`.
    """
    clock = clock or SystemClock()
    planned = await make_plan(
        job, source, ledger=ledger, clock=clock, emit=emit, tool_version=tool_version(), dry_run=True
    )
    try:
        scenario = None
        if token is not None:
            async with client_of(job, token, transport) as client:
                scenario = await preflight(job, client, clock)
        record = planned.ledger.record
        usual = await usual_of(ledger, job, path=path_text(source), run_id=record.run_id)
        view = view_of(planned.plan, job, scenario, input_name=record.input_name, usual=usual, now=clock.now())
        return Checked(
            plan=view,
            columns=planned.plan.columns,
            invalid_rows=_invalid_rows(planned),
            input_sha256=record.input_sha256,
            refused=broken_limits(job.stop, view),
        )
    finally:
        await planned.ledger.discard()


def _invalid_rows(planned: Planned) -> list[Row]:
    if not planned.plan.counts.invalid:
        return []
    run = planned.ledger
    rows = (staged.row for block in staged_rows(run.folder, rows=run.record.rows) for staged in block)
    return list(islice((row for row in rows if row.problems), MAX_KEPT_PROBLEM_ROWS))


async def _put_away(planned: Planned) -> None:
    """Leave things as they were before the plan."""
    with anyio.CancelScope(shield=True):
        if planned.plan.resumed:
            await planned.ledger.leave()
        else:
            await planned.ledger.discard()


async def _close(run: RunLedger, reason: str, clock: Clock, *, results: Path, is_written: bool) -> None:
    """Put the run away; the same command carries on while rows are left, or when the results could not be written."""
    with anyio.CancelScope(shield=True):
        state = RunState.OPEN
        try:
            if is_written and not (await run.counts()).not_sent:
                state = RunState.FINISHED
        finally:  # also when the ledger cannot even be asked any more: the run must be free for the next start
            await run.close(state=state, stop_reason=reason, at=clock.now(), results_path=str(results))
