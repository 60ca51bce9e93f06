"""Run one input with progress, log, prompts and signal handling, then print its closing table."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error
from batch_enroll.cli.logging_setup import log_end, log_to
from batch_enroll.cli.prompts import Questions
from batch_enroll.cli.run_monitor import RunMonitor
from batch_enroll.cli.signal_handlers import stop_on_signals
from batch_enroll.clock import Clock, SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import AlreadyFinished, EmptyInput, NoSuchInput, RunDeclined, RunStopped
from batch_enroll.events import Event, Listener
from batch_enroll.models import Pick
from batch_enroll.reporting.multi_summary import RequestedRun
from batch_enroll.reporting.progress import progress_on
from batch_enroll.reporting.summary import RunSummary, summary_to_json
from batch_enroll.run.canary import CanaryReview
from batch_enroll.run.context import Confirm
from batch_enroll.run.plan_limits import PlanLimitExceeded

EmitJson = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCallbacks:
    """What the command line passes into a run."""

    emit: Listener
    confirm: Confirm
    look: CanaryReview | None
    control: Control
    clock: Clock


def is_nothing_to_do(error: RunStopped, job: Job) -> bool:
    """Check whether a run ended only because nothing is new, which the job does not treat as an error."""
    if isinstance(error, AlreadyFinished):
        return job.input.if_changed or job.input.pick is Pick.NEW
    return isinstance(error, NoSuchInput | EmptyInput) and job.input.if_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSession:
    """What the runs of one command share.

    Args:
        job: its output section says what is shown, logged and printed.
        token: masked in the log.
        monitor: gets every event and the end of each run.
        asks: ask on the terminal.
        approved: the plan was approved before, so it is shown and not asked about.
        samples: the plan shows its first requests also off a terminal.
    """

    job: Job
    token: str
    monitor: RunMonitor
    asks: bool
    approved: bool = False
    samples: bool = False

    async def run(
        self,
        input_name: str | None,
        start: Callable[[RunCallbacks], Awaitable[RunSummary]],
        *,
        emit_json: EmitJson | None = None,
    ) -> int:
        """Run one input to the end, report it, and give the exit code.

        Args:
            input_name: as it was given.
            start: starts the run.
            emit_json: gets the run's JSON object; None prints it if the job asks for JSON.
        Raises:
            RunStopped: the run ended before the first request.
        """
        job, monitor, control, clock = self.job, self.monitor, Control(), SystemClock()
        requested = RequestedRun(input_name=input_name, url=job.url, scenario=job.scenario)
        with (
            log_to(job, self.token) as log,
            progress_on(sys.stderr, state=monitor.state, clock=clock, quiet=job.output.quiet) as progress,
            stop_on_signals(control),
        ):
            questions = Questions(
                asks=self.asks,
                approved=self.approved,
                quiet=job.output.quiet,
                before=progress.close,
                samples=self.samples,
                confirm_above=job.stop.confirm_above,
            )

            def emit(event: Event) -> None:
                monitor(event)  # first: progress shows the state that it counts
                progress(event)
                log(event)

            callbacks = RunCallbacks(
                emit=emit,
                confirm=questions.confirm,
                look=questions.look if self.asks else None,
                control=control,
                clock=clock,
            )
            try:
                summary = await start(callbacks)
                log_end(summary.exit_code, summary.stop_reason)
            except RunDeclined as declined:
                log_end(2, declined.message)
                console.print_message(declined.message)
                monitor.end(2, reason=declined.message, declined=True)
                output_json(job, monitor.refusal(declined, asked=requested, exit_code=2), emit_json)
                return 2
            except PlanLimitExceeded as refused:
                log_end(exit_code_for_error(refused), refused.message)
                questions.show(refused.plan)
                raise
            except RunStopped as stopped:
                log_end(
                    control.exit_code or (0 if is_nothing_to_do(stopped, job) else exit_code_for_error(stopped)),
                    stopped.message,
                )
                if control.exit_code is None:
                    raise
                console.print_message(stopped.message)
                monitor.end(control.exit_code, reason=stopped.message)
                output_json(job, monitor.refusal(stopped, asked=requested, exit_code=control.exit_code), emit_json)
                return control.exit_code
        monitor.end(summary.exit_code, summary=summary)
        _show_end(summary, job, of_several=emit_json is not None)
        if summary.archive_problem:
            console.print_error(summary.archive_problem)
        output_json(job, summary_to_json(summary), emit_json)
        return summary.exit_code


def output_json(job: Job, value: dict[str, object], emit_json: EmitJson | None) -> None:
    """Pass on the JSON object of an input, or print it if the job asks for JSON."""
    if emit_json is not None:
        emit_json(value)
    elif job.output.json_:
        console.print_json(value)


def _show_end(summary: RunSummary, job: Job, *, of_several: bool) -> None:
    """Print the closing table; with `quiet` only a problem and what to do about it."""
    from batch_enroll.reporting.summary_table import next_step, print_summary, trouble_text

    if not job.output.quiet:
        console.print_message("")
        print_summary(summary, sys.stderr)
    elif trouble := trouble_text(summary):
        prefix = f"{summary.input_name}: " if of_several else ""
        console.print_error(f"{prefix}{trouble}", hint=" ".join(filter(None, next_step(summary))))
    if job.output.quiet:
        console.print_notices(summary.unfinished)
