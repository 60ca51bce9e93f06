"""The end of a run: a refused plan is undone, a sent one gets its results and is closed, whatever ended it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from batch_enroll.atomic_file import file_mode_from
from batch_enroll.daemon_threads import run_abandonable, run_in_thread
from batch_enroll.errors import RunStopped
from batch_enroll.events import RunDiagnosed, RunFinished, WritingResults
from batch_enroll.ledger.records import RunState
from batch_enroll.messages import message
from batch_enroll.models import StopCause, StopReason
from batch_enroll.reporting.formatting import begun_before_message
from batch_enroll.reporting.result_paths import ResultPaths
from batch_enroll.reporting.summary import (
    RunEnd,
    RunSummary,
    exit_code_for,
    write_summary,
)
from batch_enroll.run.context import RunContext
from batch_enroll.run.plan import PreparedRun
from batch_enroll.run.preflight import Diagnosis
from batch_enroll.run.result_files import choose_paths, local_input_path, reason_lines, write_files
from batch_enroll.run.send import RequestCounter
from batch_enroll.sending import ScenarioInfo, restore

logger = logging.getLogger(__name__)


@asynccontextmanager
async def undo_on_error(prepared: PreparedRun) -> AsyncIterator[None]:
    """Undo the plan when the block raises: a new run is removed, a resumed one is released."""
    try:
        yield
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            if prepared.plan.carries_on:
                await prepared.ledger.close_unchanged()
            else:
                await prepared.ledger.discard()
        begun_before = begun_before_message(prepared.plan.run_id, prepared.counts)
        if isinstance(error, RunStopped) and prepared.plan.carries_on and begun_before:
            error.add_hint(begun_before)
        raise


class RunReport:
    """Collects how the sending of a run went, then writes its results and closes it."""

    summary: RunSummary  #: once it is written

    def __init__(
        self, prepared: PreparedRun, context: RunContext, *, paths: ResultPaths, scenario: ScenarioInfo | None
    ) -> None:
        self.counter = RequestCounter()
        self._run = prepared.ledger
        self._notices = prepared.reported
        self._context = context
        self._paths = paths
        self._scenario_name = scenario.name if scenario else ""
        self._finding = self._diagnosis = ""
        self._started_at = context.clock.now()
        self._began = context.clock.monotonic()
        self._duration_s: float | None = None

    def sending_ended(self) -> None:
        """Note how long the sending took."""
        self._duration_s = self._context.clock.monotonic() - self._began

    def diagnosed(self, diagnosis: Diagnosis) -> None:
        """Note and emit why the run stopped by itself."""
        self._finding, self._diagnosis = diagnosis.finding, diagnosis.message
        self._context.emit(
            RunDiagnosed(at=self._context.clock.now(), finding=diagnosis.finding, message=diagnosis.message)
        )

    async def write(self) -> None:
        """Write the results and close the run; the same command continues it while rows are left or results missing.

        Raises:
            RunStopped: the results were not written; the run is closed all the same.
        """
        run, control = self._run, self._context.control
        reason = f"{restore(control.reason, '…')} {self._diagnosis}".strip()
        is_written = False
        try:
            with control.breakable():
                self.summary = await self._write_files(reason)
                is_written = True
            if not is_written:
                raise RunStopped(message("run.results_not_written", run_id=run.record.run_id))
        finally:
            await self._close(reason, is_written=is_written)
        if self._context.job.output.keep == 0 and self.summary.end is RunEnd.FINISHED:
            await run_in_thread(run.stage.delete)
        now = self._context.clock.now()
        self._context.emit(RunFinished(at=now, run_id=run.record.run_id, counts=self.summary.counts))

    async def _write_files(self, reason: str) -> RunSummary:
        run, job, control, clock = self._run, self._context.job, self._context.control, self._context.clock
        counts = await run.counts()

        def emit(rows: int) -> None:
            run_id, of = run.record.run_id, run.record.rows
            self._context.emit(WritingResults(at=clock.now(), run_id=run_id, rows=rows, of=of))

        overwrite = job.output.overwrite
        self._paths, notices = await choose_paths(run, self._paths, overwrite=overwrite)
        written = await write_files(run, self._paths, overwrite=overwrite, on_progress=emit)
        duration_s = clock.monotonic() - self._began if self._duration_s is None else self._duration_s
        summary = RunSummary(
            run_id=run.record.run_id,
            end=RunEnd.STOPPED if counts.not_sent else RunEnd.FINISHED,
            stop_reason=reason,
            finding=self._finding,
            exit_code=(control.exit_code if counts.not_sent else None) or exit_code_for(counts, stopped=False),
            counts=counts,
            planned_rows=run.record.rows,
            requests=self.counter.requests,
            started_at=self._started_at,
            duration_s=duration_s,
            url=job.url,
            scenario=job.scenario,
            scenario_name=self._scenario_name,
            input_name=run.record.input_name,
            reasons=await reason_lines(run),
            notices=(*self._notices, *notices),
            results=written.results,
            failed=written.failed,
            unknown=written.unknown,
            summary=self._paths.summary,
            sha256=written.sha256,
        )
        mode = await run_abandonable(lambda: file_mode_from(local_input_path(run), earlier=self._paths.results))
        await run_abandonable(lambda: write_summary(self._paths.summary, summary, mode=mode))
        return summary

    async def _close(self, reason: str, *, is_written: bool) -> None:
        state = RunState.OPEN
        try:
            if is_written and not (await self._run.counts()).not_sent:
                state = RunState.FINISHED
        finally:
            now, results = self._context.clock.now(), str(self._paths.results)
            await self._run.close(state=state, stop_reason=reason, at=now, results_path=results)


@asynccontextmanager
async def reported(
    prepared: PreparedRun, context: RunContext, *, paths: ResultPaths, scenario: ScenarioInfo | None
) -> AsyncIterator[RunReport]:
    """Send in the block; whatever ends it, the results are written and the run is closed. Only `break_off` stops that.

    Raises:
        RunStopped: the results could not be written.
    """
    report = RunReport(prepared, context, paths=paths, scenario=scenario)
    try:
        yield report
    except BaseException as error:
        context.control.stop(_stop_reason(error))
        with anyio.CancelScope(shield=True):
            try:
                await report.write()
            except Exception as why:  # the caller must see what ended the sending
                logger.warning("the results of run %s were not written: %s", prepared.ledger.record.run_id, why)
        raise
    with anyio.CancelScope(shield=True):
        await report.write()


def _stop_reason(error: BaseException) -> StopReason:
    if isinstance(error, RunStopped):
        return StopReason(error.content, StopCause.FAILED)
    if isinstance(error, Exception):
        return StopReason(message("run.ended_by_fault", error=type(error).__name__), StopCause.FAILED)
    return StopReason(message("run.cancelled"))
