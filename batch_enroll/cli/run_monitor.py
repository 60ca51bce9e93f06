"""Whoever does not watch is told: a command's events and its end go to files, to people and to a watchman.

In: arguments, the run's events, and how the command ended, whichever way that was. Out: what `telling` makes of it.
Never: a change of the exit code; what cannot be told is one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import threading
from collections.abc import Callable, Iterator, Sequence

from batch_enroll.atomic_file import require_writable
from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import EXIT_CODES, exit_code_for_error
from batch_enroll.cli.job_options import build_job_from_args
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
from batch_enroll.monitoring.notification_text import build_text, build_title
from batch_enroll.monitoring.status_file import StatusFile
from batch_enroll.os_errors import os_error_reason, translate_os_error
from batch_enroll.reporting.multi_summary import RequestedRun, StartedRun, build_refused_summary
from batch_enroll.reporting.run_result import RunResult, combine_results, redact_personal_data
from batch_enroll.reporting.run_state import RunSnapshot, RunStateTracker
from batch_enroll.reporting.summary import RunSummary

STATUS_EVERY_S = 1.0
METRICS_EVERY_S = 5.0


class RunMonitor:
    """Hears a run's events and the command's end, and tells of both.

    Raises:
        JobError: what the job asks for cannot be done: an extra is missing, an address or a file is wrong.
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
        self._silenced: set[str] = set()
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True, name="status")

    def __call__(self, event: Event) -> None:
        self.state(event)

    def begin(self) -> None:
        """Say that it begins, and keep the files fresh from now on."""
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
    ) -> None:
        """Take in how a run ended, or why there was none; the run's own status file says so at once."""
        advice = ""
        if summary is not None:
            from batch_enroll.reporting.summary_table import next_step

            reason, about = summary.stop_reason, summary.input_name
            advice = " ".join(filter(None, next_step(summary)))
        self._take(
            RunResult(
                exit_code=exit_code,
                meaning=EXIT_CODES.get(exit_code, ""),
                reason=redact_personal_data(reason),
                advice=advice,
                counts=summary.counts if summary else None,
                requests=summary.requests if summary else None,
                duration_s=summary.duration_s if summary else None,
                declined=declined,
                about=about,
            )
        )

    def fail(self, error: BaseException, *, about: str = "") -> None:
        """Take in what ended a run instead; a hint about an input may show its cells and is left out.

        A run that had begun to send may end so as well: when its files cannot be written.
        """
        now = self.state.snapshot()
        began = now.began and now.ending is None  # else it stands there as the input before this one left it
        exit_code, reason, advice = 3, f"A fault of batch-enroll itself ({type(error).__name__}).", ""
        if isinstance(error, RunStopped):
            exit_code, reason = exit_code_for_error(error), error.message
            advice = "" if isinstance(error, InputError) else error.hint
        elif isinstance(error, KeyboardInterrupt):
            exit_code, reason = exit_code_for_interrupt(), "Interrupted."
        self._take(
            RunResult(
                exit_code=exit_code,
                meaning=EXIT_CODES.get(exit_code, ""),
                reason=redact_personal_data(reason),
                advice=redact_personal_data(advice),
                counts=now.counts if began else None,
                requests=now.requests if began else None,
                about=about,
            )
        )

    def end_all(self, exit_code: int, *, left: Sequence[str]) -> None:
        """Take in how a command over several inputs ended; `left` are those that it did not come to."""
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

    def _take(self, ending: RunResult) -> None:
        self._endings.append(ending)
        self.state.end(ending)
        _, what, write = self._files[0]
        self._write(what, write, self.state.snapshot())

    def tell(self) -> None:
        """Tell how it ended; takes as long as the slowest of those who are told, within the job's limits."""
        self._over.set()
        self._ticker.join()
        ending = self._all or (self._endings[-1] if self._endings else None)
        if ending is None:
            return
        if self._all is not None:
            self.state.end(self._all)
        standing = self.state.snapshot()
        for _, what, write in self._files:
            self._write(what, write, standing)
        try:
            text = build_text(standing, ending, host=self._host)
            if self._heartbeat is not None:
                self._heartbeat.end(ending, text=text)
            if self._notifier is not None:
                self._notifier.notify(ending, title=build_title(standing, ending), text=text)
        except KeyboardInterrupt:
            console.print_message("Interrupted while telling how it ended; the run itself is not touched by this.")
        except Exception as error:  # a mistake in telling is not one of the run, and must not end it with another code
            console.print_message(f"Not everybody could be told how it ended ({type(error).__name__}).")

    def _tick(self) -> None:
        ticks = 0
        while not self._over.wait(STATUS_EVERY_S):
            standing = self.state.snapshot()
            for every_s, what, write in self._files:
                if ticks % round(every_s / STATUS_EVERY_S) == 0:
                    self._write(what, write, standing)
            ticks += 1

    def _write(self, what: str, write: Callable[[RunSnapshot], OSError | None], standing: RunSnapshot) -> None:
        with self._writing:
            error = write(standing)
        if error is not None and what not in self._silenced:
            self._silenced.add(what)
            console.print_message(
                f"The {what} cannot be written: {os_error_reason(error)}. The run goes on without it."
            )


@contextlib.contextmanager
def monitored_job(
    args: argparse.Namespace,
    *,
    input_name: str | None,
    build: Callable[[argparse.Namespace], Job] = build_job_from_args,
) -> Iterator[tuple[Job, RunMonitor]]:
    """Build the job, and tell how the block ended, also when there was no job to begin with.

    What stopped the block is printed as a JSON object when the job wants one: nothing was sent, so no run has told.

    Args:
        input_name: as the person gave it; None when only a run was named.
    Raises:
        JobError: as `build` and `RunMonitor` do.
    """
    try:
        job = build(args)
        watch = RunMonitor(MonitorSettings.of(job))
    except RunStopped as error:
        _tell_without_a_job(args, error, input_name=input_name)
        raise
    watch.begin()
    try:
        yield job, watch
    except BaseException as error:
        told = translate_os_error(error, to=FileSystemError) if isinstance(error, OSError) else error
        watch.fail(told)
        if isinstance(told, RunStopped) and job.output.json_:
            asked = RequestedRun(input_name=input_name, url=job.url, scenario=job.scenario)
            console.print_json(watch.refusal(told, asked=asked))
        raise
    finally:
        watch.tell()


def check_notifications(job: Job) -> None:
    """Make sure that whoever a run of this job would tell can be told; tells nobody.

    Raises:
        JobError: as `RunMonitor` does.
    """
    RunMonitor(MonitorSettings.of(job))


def _tell_without_a_job(args: argparse.Namespace, error: RunStopped, *, input_name: str | None) -> None:
    """The job is wrong, but perhaps not in what it says of whom to tell: a broken night must not be a silent one."""
    wrong = PartialJob.of(args)
    if wrong.json_:
        asked = RequestedRun(input_name=input_name, url=wrong.url, scenario=wrong.scenario)
        console.print_json(_refusal(error, asked=asked, exit_code=exit_code_for_error(error)))
    settings = wrong.watch_settings()
    try:
        watch = None if settings is None else RunMonitor(settings)
    except RunStopped:
        return
    if watch is not None:
        watch.begin()
        watch.fail(error)
        watch.tell()


def _refusal(
    error: RunStopped, *, asked: RequestedRun, exit_code: int, begun: StartedRun | None = None
) -> dict[str, object]:
    return build_refused_summary(
        asked,
        at=SystemClock().now(),
        reason=redact_personal_data(error.message),
        exit_code=exit_code,
        finding=error.finding if isinstance(error, PreflightError) else "",
        begun=begun,
    )
