"""Report a command's progress and end to the status file, metrics, notifications and heartbeat.

A report that fails is one line on standard error; it never changes the exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batch_enroll.atomic_file import require_writable
from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import EXIT_CODES, exit_code_for_error
from batch_enroll.cli.job_options import build_job_from_args, job_file_path
from batch_enroll.cli.monitor_settings import (
    MonitorSettings,
    PartialJob,
    build_heartbeat,
    build_notifier,
)
from batch_enroll.cli.signal_handlers import exit_code_for_interrupt
from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.errors import (
    FileSystemError,
    InputError,
    PreflightError,
    RunStopped,
)
from batch_enroll.events import Event
from batch_enroll.models import Notice
from batch_enroll.monitoring.notifications import build_text, build_title
from batch_enroll.monitoring.status_file import StatusFile
from batch_enroll.os_errors import os_error_reason, translate_os_error
from batch_enroll.overwrite_guard import Output
from batch_enroll.reporting.multi_summary import RequestedRun, StartedRun, build_refused_summary
from batch_enroll.reporting.run_result import RunResult, combine_results, redact_personal_data
from batch_enroll.reporting.run_state import RunSnapshot, RunStateTracker
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run.job_outputs import files_read, job_outputs, monitoring_outputs

STATUS_EVERY_S = 1.0
METRICS_EVERY_S = 5.0


class RunMonitor:
    """Reports a run's events and the command's end.

    Raises:
        JobError: what the job asks for cannot be done: an extra is missing, an address or a file is partial.
    """

    def __init__(self, settings: MonitorSettings) -> None:
        self._host = platform.node()
        self._endings: list[RunResult] = []  #: of each input
        self._all: RunResult | None = None  #: of several together
        self.state = RunStateTracker(job=settings.name, scenario=settings.scenario, clock=SystemClock())
        status = StatusFile(settings.status_file, host=self._host)
        self._files: list[tuple[float, str, Callable[[RunSnapshot], OSError | None]]] = []
        self._files.append((STATUS_EVERY_S, "status file", status.write))
        if settings.metrics_file is not None:
            from batch_enroll.monitoring.metrics_file import MetricsFile

            self._files.append((METRICS_EVERY_S, "metrics file", MetricsFile(settings.metrics_file).write))
        for path in filter(None, (settings.status_file, settings.metrics_file)):
            require_writable(path)
        self._notifier = build_notifier(settings.notify)
        self._heartbeat = build_heartbeat(settings.notify)
        self._reported: set[str] = set()
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True, name="status")

    def __call__(self, event: Event) -> None:
        self.state(event)

    def begin(self) -> None:
        """Send the first heartbeat and start updating the files."""
        if self._heartbeat is not None:
            self._heartbeat.begin()
        self._ticker.start()

    def end(
        self,
        exit_code: int,
        *,
        summary: RunSummary | None = None,
        about: str = "",
        reason: str = "",
        declined: bool = False,
        notices: tuple[Notice, ...] = (),
    ) -> None:
        """Record how a run ended, or why there was none, and write the status file."""
        advice = ""
        if summary is not None:
            from batch_enroll.reporting.summary_table import next_step

            reason, about = summary.stop_reason, summary.input_name
            advice = " ".join(filter(None, next_step(summary)))
        self._add_result(
            RunResult(
                exit_code=exit_code,
                meaning=EXIT_CODES.get(exit_code, ""),
                reason=redact_personal_data(reason),
                advice=advice,
                counts=summary.counts if summary else None,
                requests=summary.requests if summary else None,
                duration_s=summary.duration_s if summary else None,
                declined=declined,
                notices=summary.notices if summary else notices,
                about=about,
            )
        )

    def fail(self, error: BaseException, *, about: str = "") -> None:
        """Record the error that ended a run; an input's hint may hold cell contents and is left out.

        A run that has sent rows can end so too, when its files cannot be written.
        """
        now = self.state.snapshot()
        began = now.began and now.ending is None  # else it is the state of the previous input
        exit_code, reason, advice = 3, f"A bug in batch-enroll ({type(error).__name__}).", ""
        notices: tuple[Notice, ...] = ()
        if isinstance(error, RunStopped):
            exit_code, reason = exit_code_for_error(error), error.message
            advice, notices = _hint(error), error.notices
        elif isinstance(error, KeyboardInterrupt):
            exit_code, reason = exit_code_for_interrupt(), "Interrupted."
        self._add_result(
            RunResult(
                exit_code=exit_code,
                meaning=EXIT_CODES.get(exit_code, ""),
                reason=redact_personal_data(reason),
                advice=redact_personal_data(advice),
                counts=now.counts if began else None,
                requests=now.requests if began else None,
                notices=notices,
                about=about,
            )
        )

    def end_all(self, exit_code: int, *, left: Sequence[str]) -> None:
        """Record how a command with several inputs ended; `left` are those not started."""
        meaning = EXIT_CODES.get(exit_code, "")
        self._all = combine_results(self._endings, exit_code=exit_code, meaning=meaning, left=left)

    def refusal(self, error: RunStopped, *, asked: RequestedRun, exit_code: int | None = None) -> dict[str, object]:
        """Give the JSON object of an input that an error ended; its exit code is the error's if none is given."""
        code = exit_code_for_error(error) if exit_code is None else exit_code
        now = self.state.snapshot()
        if now.run_id is None or not (now.began or now.begun_before):
            return _refusal(error, asked=asked, exit_code=code)
        begun = StartedRun(run_id=now.run_id, counts=now.counts, requests=now.requests, sent_now=now.began)
        return _refusal(error, asked=asked, exit_code=code, begun=begun)

    def _add_result(self, ending: RunResult) -> None:
        self._endings.append(ending)
        self.state.end(ending)
        _, what, write = self._files[0]
        self._write(what, write, self.state.snapshot())

    def report_end(self) -> None:
        """Write the final files and send heartbeat and notifications; takes up to the job's timeout."""
        self._over.set()
        self._ticker.join()
        ending = self._all or (self._endings[-1] if self._endings else None)
        if ending is None:
            return
        if self._all is not None:
            self.state.end(self._all)
        snapshot = self.state.snapshot()
        for _, what, write in self._files:
            self._write(what, write, snapshot)
        try:
            text = build_text(snapshot, ending, host=self._host)
            if self._heartbeat is not None:
                self._heartbeat.end(ending, text=text)
            if self._notifier is not None:
                self._notifier.notify(ending, title=build_title(snapshot, ending), text=text)
        except KeyboardInterrupt:
            console.print_message("Interrupted while sending notifications; the run itself is not affected.")
        except Exception as error:  # a failed notification must not change the exit code
            console.print_message(f"Not all notifications could be sent ({type(error).__name__}).")

    def _tick(self) -> None:
        ticks = 0
        while not self._over.wait(STATUS_EVERY_S):
            snapshot = self.state.snapshot()
            for every_s, what, write in self._files:
                if ticks % round(every_s / STATUS_EVERY_S) == 0:
                    self._write(what, write, snapshot)
            ticks += 1

    def _write(self, what: str, write: Callable[[RunSnapshot], OSError | None], snapshot: RunSnapshot) -> None:
        with self._writing:
            error = write(snapshot)
        if error is not None and what not in self._reported:
            self._reported.add(what)
            console.print_message(
                f"The {what} cannot be written: {os_error_reason(error)}. The run continues without it."
            )


@contextlib.contextmanager
def monitored_job(
    args: argparse.Namespace,
    *,
    input_name: str | None,
    source: Path | None = None,
    build: Callable[[argparse.Namespace], Job] = build_job_from_args,
) -> Iterator[tuple[Job, RunMonitor]]:
    """Build the job, and tell how the block ended, also when there was no job to begin with.

    What stopped the block is printed as a JSON object when the job wants one: nothing was sent, so no run has told.

    Args:
        input_name: as the person gave it; None when only a run was named.
        source: the input, when it is one file of this machine.
    Raises:
        JobError: as `build` and `RunMonitor` do, or an output would overwrite a file that is read.
    """
    try:
        job = build(args)
        check_outputs(args, job, source=source)
        monitor = RunMonitor(MonitorSettings.from_job(job))
    except RunStopped as error:
        _report_invalid_job(args, error, input_name=input_name, source=source)
        raise
    monitor.begin()
    try:
        yield job, monitor
    except BaseException as error:
        told = translate_os_error(error, to=FileSystemError) if isinstance(error, OSError) else error
        monitor.fail(told)
        if isinstance(told, RunStopped) and job.output.json_:
            asked = RequestedRun(input_name=input_name, url=job.url, scenario=job.scenario)
            console.print_json(monitor.refusal(told, asked=asked))
        raise
    finally:
        monitor.report_end()


def check_notifications(job: Job) -> None:
    """Check the job's monitoring settings without sending anything.

    Raises:
        JobError: as `RunMonitor` does.
    """
    RunMonitor(MonitorSettings.from_job(job))


def check_outputs(args: argparse.Namespace, job: Job, *others: Output, source: Path | None) -> None:
    """Make sure that no output of the job, and none of a command's `others`, overwrites a file that is read.

    Raises:
        JobError: one would.
    """
    approved = getattr(args, "plan", None)
    reads = files_read(job.model_dump(), source=source, job_file=job_file_path(args), approved=approved)
    reads.check(*others, *job_outputs(job))


def _report_invalid_job(
    args: argparse.Namespace, error: RunStopped, *, input_name: str | None, source: Path | None
) -> None:
    """Report an invalid job as far as its monitoring settings are valid: an unattended failure must be noticed."""
    partial = PartialJob.from_args(args)
    if partial.json_:
        asked = RequestedRun(input_name=input_name, url=partial.url, scenario=partial.scenario)
        console.print_json(_refusal(error, asked=asked, exit_code=exit_code_for_error(error)))
    settings = partial.monitor_settings()
    try:
        if settings is not None:
            reads = files_read(partial.settings, source=source, job_file=job_file_path(args))
            reads.check(*monitoring_outputs(settings.status_file, settings.metrics_file))
        monitor = None if settings is None else RunMonitor(settings)
    except RunStopped:
        return
    if monitor is not None:
        monitor.begin()
        monitor.fail(error)
        monitor.report_end()


def _refusal(
    error: RunStopped, *, asked: RequestedRun, exit_code: int, begun: StartedRun | None = None
) -> dict[str, object]:
    return build_refused_summary(
        asked,
        at=SystemClock().now(),
        reason=redact_personal_data(f"{error.message} {_hint(error)}".strip()),
        exit_code=exit_code,
        finding=error.finding if isinstance(error, PreflightError) else "",
        begun=begun,
        notices=error.notices,
    )


def _hint(error: RunStopped) -> str:
    """Give the hint of an error; that of an input may hold cell contents and is left out."""
    return "" if isinstance(error, InputError) else error.hint
