"""The face of a run that sends: progress, log, questions and signals around it, the closing table after it.

In: a function that begins the run with these hands. Out: the exit code. Never: a decision about rows.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error
from batch_enroll.cli.logging_setup import log_end, log_to
from batch_enroll.cli.prompts import Questions
from batch_enroll.cli.run_monitor import RunMonitor
from batch_enroll.cli.signal_handlers import signals_stop
from batch_enroll.clock import Clock, SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import AlreadyFinished, NoSuchInput, RunDeclined, RunStopped
from batch_enroll.events import Event, Listener
from batch_enroll.models import Pick
from batch_enroll.reporting.multi_summary import RequestedRun
from batch_enroll.reporting.progress import progress_on
from batch_enroll.reporting.summary import RunSummary, summary_to_json
from batch_enroll.run.canary import CanaryReview
from batch_enroll.run.context import Confirm
from batch_enroll.run.plan_limits import PlanLimitExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCallbacks:
    """What a run gets from its face."""

    emit: Listener
    confirm: Confirm
    look: CanaryReview | None
    control: Control
    clock: Clock


def is_nothing_to_do(error: RunStopped, job: Job) -> bool:
    """Tell whether a run only ended because nothing is new, and the job takes that for no mistake."""
    if isinstance(error, AlreadyFinished):
        return job.input.if_changed or job.input.pick is Pick.NEW
    return isinstance(error, NoSuchInput) and job.input.if_changed


async def run_and_report(
    job: Job,
    token: str,
    *,
    input_name: str | None,
    watch: RunMonitor,
    asks: bool,
    approved: bool = False,
    begin: Callable[[RunCallbacks], Awaitable[RunSummary]],
    put: Callable[[dict[str, object]], None] | None = None,
) -> int:
    """Run to the end and say what became of it.

    Args:
        job: says what is shown, logged and printed.
        token: to keep it out of the log.
        input_name: as it was given.
        watch: hears every event, and how it ended.
        asks: a person sits there and wants to be asked.
        approved: the plan was approved before, so it is shown and not asked about.
        begin: starts the run.
        put: takes the run's JSON object; None prints it when the job wants that.
    Raises:
        RunStopped: what ended it before the first request.
    """
    control, clock = Control(), SystemClock()
    asked = RequestedRun(input_name=input_name, url=job.url, scenario=job.scenario)

    def tell(told: dict[str, object]) -> None:
        if put is not None:
            put(told)
        elif job.output.json_:
            console.print_json(told)

    with (
        log_to(job, token) as log,
        progress_on(sys.stderr, state=watch.state, clock=clock, quiet=job.output.quiet) as progress,
        signals_stop(control),
    ):
        questions = Questions(
            asks=asks,
            approved=approved,
            quiet=job.output.quiet,
            before=progress.close,
            confirm_above=job.stop.confirm_above,
        )

        def emit(event: Event) -> None:
            watch(event)  # first: progress shows the state that it counts
            progress(event)
            log(event)

        hands = RunCallbacks(
            emit=emit,
            confirm=questions.confirm,
            look=questions.look if asks else None,
            control=control,
            clock=clock,
        )
        try:
            summary = await begin(hands)
            log_end(summary.exit_code, summary.stop_reason)
        except RunDeclined as no:
            log_end(2, no.message)
            console.print_message(no.message)
            watch.end(2, reason=no.message, declined=True)
            tell(watch.refusal(no, asked=asked, exit_code=2))
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
            watch.end(control.exit_code, reason=stopped.message)
            tell(watch.refusal(stopped, asked=asked, exit_code=control.exit_code))
            return control.exit_code
    watch.end(summary.exit_code, summary=summary)
    _show_end(summary, job, of_several=put is not None)
    if summary.archive_problem:
        console.print_error(summary.archive_problem)
    tell(summary_to_json(summary))
    return summary.exit_code


def _show_end(summary: RunSummary, job: Job, *, of_several: bool) -> None:
    """Show people how it ended; with `quiet` only what went wrong, and what to do about it."""
    from batch_enroll.reporting.summary_table import next_step, print_summary, trouble_text

    if not job.output.quiet:
        console.print_message("")
        print_summary(summary, sys.stderr)
    elif trouble := trouble_text(summary):
        about = f"{summary.input_name}: " if of_several else ""
        console.print_error(f"{about}{trouble}", hint=" ".join(filter(None, next_step(summary))))
