"""A run: plan, preflight, confirm, send, report. `run.api` holds the functions that callers use."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

from batch_enroll.daemon_threads import run_abandonable, run_in_thread
from batch_enroll.errors import RunDeclined
from batch_enroll.events import RunPlanned
from batch_enroll.messages import message
from batch_enroll.models import DownloadedInput, RowStatus
from batch_enroll.reporting.replaceable_results import check_replaceable
from batch_enroll.reporting.result_paths import check_writable, names_folder, result_paths
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run.approved_plan import check_job_matches_approved, check_plan_matches_approved
from batch_enroll.run.context import RunContext, build_client, scenario_lock
from batch_enroll.run.input_archive import archive_finished, check_archive
from batch_enroll.run.input_source import LocalInput, path_text, readable
from batch_enroll.run.job_outputs import files_read
from batch_enroll.run.life_cycle import reported, undo_on_error
from batch_enroll.run.plan import PreparedRun, complete_plan, prepare_run, requeue, resume_run, skip_enrolled_meanwhile
from batch_enroll.run.plan_limits import PlanLimitExceeded, broken_limits, check_allowed_hours
from batch_enroll.run.preflight import ask_while_sending, diagnose, preflight
from batch_enroll.run.result_files import local_input_path, result_paths_for
from batch_enroll.run.send import send_rows
from batch_enroll.run.unfinished_runs import unfinished_named
from batch_enroll.sending import ScenarioInfo


async def enroll_input(context: RunContext, source: LocalInput) -> RunSummary:
    """Plan and send an input, or resume the unfinished run over it; then move it to the job's archive."""
    job = context.job

    async def enroll() -> RunSummary:
        async with unfinished_named(context.ledger, job, input_path=path_text(source)):
            await context.until_stopped(lambda: _check_before_reading(context, source))
            prepared = await context.until_stopped(lambda: prepare_run(context, source))
            summary = await _execute(prepared, context)
        sha256 = prepared.ledger.record.input_sha256
        return await run_in_thread(lambda: archive_finished(summary, source, job, sha256=sha256))

    return await context.supervise(enroll)


async def retry_rows(context: RunContext, run_id: str, status: RowStatus) -> RunSummary:
    """Send the rows of one status of an earlier run once more; archive its input if it is still there."""
    job = context.job

    async def retry() -> RunSummary:
        check_allowed_hours(job, context.clock.now())
        prepared = await context.until_stopped(lambda: resume_run(context, run_id, again=status))
        source = local_input_path(prepared.ledger)
        if source is not None and not source.exists():  # it is not needed
            source = None
        async with undo_on_error(prepared):
            if job.input.archive is not None and source is not None:
                await run_abandonable(check_archive, job.input.archive, source)
        summary = await _execute(prepared, context)
        sha256 = prepared.ledger.record.input_sha256
        return await run_in_thread(lambda: archive_finished(summary, source, job, sha256=sha256))

    return await context.supervise(retry)


async def _check_before_reading(context: RunContext, source: LocalInput) -> None:
    """Find what makes the run impossible before a million rows are read."""
    job, now = context.job, context.clock.now()
    if isinstance(source, Path | DownloadedInput):
        paths = result_paths(path_text(source), run_id="new", results=job.output.results)
        reads = files_read(job.model_dump(), source=source, ledger=context.ledger.place)
        makes_folder = names_folder(job.output.results)
        await run_abandonable(lambda: check_writable(paths, reads=reads, makes_folder=makes_folder))
        if job.output.results is not None and not job.output.overwrite:
            await run_abandonable(lambda: check_replaceable(paths))
    check_allowed_hours(job, now)
    check_job_matches_approved(context.approved, job, readable(source))
    if job.input.archive is not None:
        await run_abandonable(check_archive, job.input.archive, source)
    await context.ledger.delete_staged_rows(before=now - timedelta(days=job.output.keep))


async def _execute(prepared: PreparedRun, context: RunContext) -> RunSummary:
    """Take a prepared run through preflight, confirmation, sending and report."""
    run, job, control, clock = prepared.ledger, context.job, context.control, context.clock
    async with AsyncExitStack() as stack:
        async with undo_on_error(prepared):
            _emit_planned(prepared, context)
            client = await stack.enter_async_context(build_client(job, context.token, context.transport))
            paths = result_paths_for(run, job.output.results)
            reads = files_read(job.model_dump(), source=local_input_path(run), ledger=context.ledger.place)
            check = partial(
                check_writable,
                paths,
                rows=prepared.counts.rows,
                reads=reads,
                makes_folder=names_folder(job.output.results),
            )
            await context.until_stopped(lambda: run_abandonable(check))
            scenario = None
            with control.stoppable():
                scenario = await preflight(job, client, clock, suggest=True)
            if not control.reason:
                await _confirm(prepared, context, scenario)
            await stack.enter_async_context(scenario_lock(context, run.record))
            check_allowed_hours(job, clock.now())  # again: a person may take hours to answer, another run to end
            await skip_enrolled_meanwhile(prepared, context)
            await requeue(prepared, context)  # last: from here on nothing refuses the run
        async with reported(prepared, context, paths=paths, scenario=scenario) as report:
            ask = None if job.send.skip_preflight else partial(ask_while_sending, job, client, clock)
            await send_rows(run, context, client, counter=report.counter, ask=ask)
            report.sending_ended()
            if not control.is_broken_off:
                with control.stoppable():
                    if diagnosis := await diagnose(run, job, client, control.stop_reason, clock=clock):
                        report.diagnosed(diagnosis)
    return report.summary


def _emit_planned(prepared: PreparedRun, context: RunContext) -> None:
    record = prepared.ledger.record
    context.emit(
        RunPlanned(
            at=context.clock.now(),
            run_id=record.run_id,
            resumed=prepared.plan.carries_on,
            counts=prepared.counts,
            folder=prepared.ledger.folder,
            input_name=record.input_name,
            input_sha256=record.input_sha256,
            notices=prepared.reported,
        )
    )


async def _confirm(prepared: PreparedRun, context: RunContext, scenario: ScenarioInfo | None) -> None:
    """Compare the plan with the approved one and the job's limits, then ask the person.

    Raises:
        ApprovedPlanMismatch, PlanLimitExceeded: it may not be sent.
        RunDeclined: the person declined.
    """
    plan = await complete_plan(prepared, context, scenario)
    plan = check_plan_matches_approved(context.approved, plan, sha256=prepared.ledger.record.input_sha256)
    if refusals := broken_limits(context.job.stop, plan):
        raise PlanLimitExceeded(refusals, plan)
    confirm = context.confirm
    if confirm is not None and not await context.until_stopped(partial(confirm, plan)):
        raise RunDeclined(message("run.declined"))
