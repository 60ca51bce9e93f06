"""The life cycle of a run: one stop for every phase; whatever ends it, it is closed and its results are written."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio

from batch_enroll.atomic_file import file_mode_from
from batch_enroll.background import run_abandonable, run_in_thread, run_with_background
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.control.control_server import ControlServer
from batch_enroll.control.run_control import Control
from batch_enroll.errors import RunStopped
from batch_enroll.events import (
    Listener,
    RunDiagnosed,
    RunFinished,
    WritingResults,
)
from batch_enroll.ledger.interface import Ledger, RunLedger, RunState
from batch_enroll.ledger.staging import forget_rows
from batch_enroll.reporting.formatting import begun_before_text
from batch_enroll.reporting.result_paths import ResultPaths
from batch_enroll.reporting.summary import (
    RunEnd,
    RunSummary,
    exit_code_for,
    write_summary,
)
from batch_enroll.run.plan import PreparedRun
from batch_enroll.run.preflight import Diagnosis
from batch_enroll.run.result_files import input_path_of, reason_lines, write_files
from batch_enroll.run.send import SendResult
from batch_enroll.sending import ScenarioInfo, Transport, restore

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class RunContext:
    """What every phase of a run works with."""

    job: Job
    token: str
    ledger: Ledger
    emit: Listener
    control: Control
    transport: Transport | None
    clock: Clock

    async def supervise(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run all phases, with control requests of other processes answered in the background.

        Raises:
            RuntimeError: the control has had its run.
        """
        self.control.expect(rate_per_s=self.job.send.rate, concurrency=self.job.send.concurrency)
        desk = ControlServer(self.control, clock=self.clock)
        self.emit = desk.hearing(self.emit)
        return await run_with_background(work, desk.keep_watch)

    async def until_stopped(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run what comes before the first request; `stop` ends it.

        Raises:
            RunStopped: somebody stopped the run.
        """
        if not self.control.reason:
            with self.control.stoppable():
                return await work()
        raise RunStopped(f"{self.control.reason} Nothing was sent.")


@asynccontextmanager
async def undo_on_error(planned: PreparedRun) -> AsyncIterator[None]:
    """Leave the ledger as it was before the plan when the block raises: a new run goes, an older one is let go."""
    try:
        yield
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            if planned.plan.resumed:
                await planned.ledger.close_unchanged()
            else:
                await planned.ledger.discard()
        if isinstance(error, RunStopped) and planned.plan.resumed:
            error.add_hint(begun_before_text(planned.plan.counts))
        raise


class RunReport:
    """How the sending of a run went, and the report on it."""

    summary: RunSummary  #: once it is written

    def __init__(
        self, run: RunLedger, context: RunContext, *, paths: ResultPaths, scenario: ScenarioInfo | None
    ) -> None:
        self.sent = SendResult()
        self._run = run
        self._context = context
        self._paths = paths
        self._scenario_name = scenario.name if scenario else ""
        self._finding = self._diagnosis = ""
        self._started_at = context.clock.now()
        self._began = context.clock.monotonic()
        self._duration_s: float | None = None

    def sending_ended(self) -> None:
        """Take the time."""
        self._duration_s = self._context.clock.monotonic() - self._began

    def diagnosed(self, diagnosis: Diagnosis) -> None:
        """Take in why the run stopped by itself."""
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
                raise RunStopped(
                    f"The results of run {run.record.run_id} were not written: it was stopped at once.",
                    hint=f"The same command writes them, and so does `batch-enroll report {run.record.run_id}`.",
                )
        finally:
            await self._close(reason, is_written=is_written)
        if self._context.job.output.keep == 0 and self.summary.end is RunEnd.FINISHED:
            await run_in_thread(forget_rows, run.folder)
        now = self._context.clock.now()
        self._context.emit(RunFinished(at=now, run_id=run.record.run_id, counts=self.summary.counts))

    async def _write_files(self, reason: str) -> RunSummary:
        run, job, control, clock = self._run, self._context.job, self._context.control, self._context.clock
        counts = await run.counts()

        def tell(rows: int) -> None:
            run_id, of = run.record.run_id, run.record.rows
            self._context.emit(WritingResults(at=clock.now(), run_id=run_id, rows=rows, of=of))

        written = await write_files(run, self._paths, tell=tell)
        duration_s = clock.monotonic() - self._began if self._duration_s is None else self._duration_s
        summary = RunSummary(
            run_id=run.record.run_id,
            end=RunEnd.STOPPED if counts.not_sent else RunEnd.FINISHED,
            stop_reason=reason,
            finding=self._finding,
            exit_code=(control.exit_code if counts.not_sent else None) or exit_code_for(counts, stopped=False),
            counts=counts,
            planned_rows=run.record.rows,
            requests=self.sent.requests,
            started_at=self._started_at,
            duration_s=duration_s,
            url=job.url,
            scenario=job.scenario,
            scenario_name=self._scenario_name,
            input_name=run.record.input_name,
            reasons=await reason_lines(run),
            results=written.results,
            failed=written.failed,
            unknown=written.unknown,
            summary=self._paths.summary,
        )
        mode = await run_abandonable(lambda: file_mode_from(input_path_of(run), earlier=self._paths.results))
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
    run: RunLedger, context: RunContext, *, paths: ResultPaths, scenario: ScenarioInfo | None
) -> AsyncIterator[RunReport]:
    """Send in the block; whatever ends it, the results are written and the run is closed. Only `break_off` ends that.

    Raises:
        RunStopped: the results could not be written.
    """
    report = RunReport(run, context, paths=paths, scenario=scenario)
    try:
        yield report
    except BaseException as error:
        context.control.stop(_ended_by(error))
        with anyio.CancelScope(shield=True):
            try:
                await report.write()
            except Exception:  # what ended the sending is what the caller must hear
                logger.warning("the results of run %s were not written", run.record.run_id, exc_info=True)
        raise
    with anyio.CancelScope(shield=True):
        await report.write()


def _ended_by(error: BaseException) -> str:
    if isinstance(error, RunStopped):
        return error.message
    if isinstance(error, Exception):
        return f"A fault of the program ({type(error).__name__}) ended the run."
    return "The program that started the run cancelled it."
