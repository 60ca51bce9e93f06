"""Run several inputs one after the other and report them together.

No input is started after a run that stopped before its end.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error
from batch_enroll.cli.job_options import input_name, sources_of
from batch_enroll.cli.run_monitor import RunMonitor
from batch_enroll.cli.run_session import EmitJson, RunCallbacks, RunSession, is_nothing_to_do, output_json
from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import run_in_thread
from batch_enroll.errors import (
    AlreadyFinished,
    EmptyInput,
    InputError,
    JobError,
    NoSuchInput,
    RunStopped,
)
from batch_enroll.ledger.interface import Ledger
from batch_enroll.loading.remote_address import Remote
from batch_enroll.messages import message
from batch_enroll.models import Notice
from batch_enroll.reporting.multi_summary import (
    RequestedRun,
    build_multi_summary,
    build_nothing_new_summary,
    multi_summary_line,
    nothing_new_line,
    worst_exit_code,
)
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run.input_archive import archive_input, check_archive
from batch_enroll.run.input_source import Source
from batch_enroll.run.unfinished_runs import unfinished_notices

Enroll = Callable[[Source, RunCallbacks], Awaitable[RunSummary]]

_CONTINUE_AFTER = (0, 1, 2, 4)  # a run that stopped early would stop the next one too


async def run_each(session: RunSession, sources: Sequence[Source], enroll: Enroll) -> int:
    """Enroll every input in turn.

    A single input is run as if it had been named. With several, an input that cannot be sent does not stop the others;
    a run that stopped before its end does.

    Returns:
        The worst exit code, by the order of `multi_summary.worst_exit_code`.
    Raises:
        RunStopped: what ended the only input before its first request.
    """
    job, monitor = session.job, session.monitor
    if len(sources) == 1:
        return await _run(session, sources[0], enroll, emit_json=None)
    results: list[dict[str, object]] = []
    codes: list[int] = []
    for source in sources:
        if not job.output.quiet:
            console.print_message(f"{'' if not codes else chr(10)}Input {len(codes) + 1} of {len(sources)}: {source}")
        continues = True
        try:
            code = await _run(session, source, enroll, emit_json=results.append)
        except RunStopped as error:
            console.print_refusal(error, about=str(source))
            monitor.fail(error, about=_name(source))
            code = exit_code_for_error(error)
            results.append(monitor.refusal(error, asked=_requested(job, source)))
            continues = isinstance(error, InputError | JobError)  # other errors concern every input
        codes.append(code)
        if not continues or code not in _CONTINUE_AFTER:
            break
    left = sources[len(codes) :]
    if left:
        console.print_message(f"Not started: {', '.join(map(str, left))}.")
    exit_code = worst_exit_code(codes)
    monitor.end_all(exit_code, left=[_name(source) for source in left])
    together = build_multi_summary(results, left=list(map(str, left)), exit_code=exit_code)
    if not job.output.quiet:
        console.print_message(f"\n{multi_summary_line(together)}")
    if job.output.json_:
        console.print_json(together)
    return exit_code


async def select_or_report(
    args: argparse.Namespace, job: Job, ledger: Ledger, *file_flags: str, monitor: RunMonitor | None = None
) -> Sequence[Source]:
    """Find the inputs of a command; when there is none and the job allows that, report it and give none.

    Args:
        file_flags: flags of the command that name a file about one input.
        monitor: of a run, which also archives what an earlier run enrolled; None = a dry run.
    Raises:
        InputError: there is no such file, or it is open which of several is meant.
        JobError: there are several inputs, and one of the flags is given.
    """
    picked = await sources_of(args, job, ledger=ledger, clock=SystemClock())
    if monitor is not None:
        await run_in_thread(_archive_done, job, picked.enrolled_before)
    if not picked.files:
        left = await unfinished_notices(ledger, job)
        report_nothing_new(job, input_name(args), monitor=monitor, passed_over=picked.skipped_text, notices=left)
        return ()
    if picked.skipped_text and not job.output.quiet:
        console.print_message(picked.skipped_text)
    for flag in file_flags:
        if len(picked.files) > 1 and getattr(args, flag.lstrip("-")) is not None:
            names = tuple(map(_name, picked.files))
            raise JobError(message("job.flag_for_one_input", flag=flag, count=len(names), names=names))
    return picked.files


def _archive_done(job: Job, inputs: Sequence[tuple[Path, str]]) -> None:
    """Move inputs that an earlier run enrolled, but did not archive, to the job's archive.

    Args:
        inputs: each with the sha256 of what was enrolled.
    """
    folder = job.input.archive
    if folder is None:
        return
    for path, sha256 in inputs:
        try:
            check_archive(folder, path)
            moved = archive_input(path, folder, sha256=sha256)
        except RunStopped as error:
            console.print_refusal(error)
            continue
        if not job.output.quiet:
            console.print_message(f"Moved {path}, which was enrolled before, to {moved}.")


def report_nothing_new(
    job: Job,
    name: str,
    *,
    monitor: RunMonitor | None = None,
    is_empty: bool = False,
    passed_over: str = "",
    emit_json: EmitJson | None = None,
    notices: tuple[Notice, ...] = (),
) -> int:
    """Report that there is no new file to enroll, or no row in it, which is not an error; give exit code 0.

    Args:
        notices: the earlier runs that left rows unsent.
    """
    line = nothing_new_line(name, earlier=None, is_empty=is_empty, skipped=passed_over)
    if not job.output.quiet:
        console.print_message(line)
    console.print_notices(notices)
    if monitor is not None:
        monitor.end(0, about=name, reason=line, notices=notices)
    nothing_new = build_nothing_new_summary(
        _requested(job, name), at=SystemClock().now(), earlier=None, notices=notices
    )
    output_json(job, nothing_new, emit_json)
    return 0


async def _run(session: RunSession, source: Source, enroll: Enroll, *, emit_json: EmitJson | None) -> int:
    """Enroll one input, or report that nothing in it is new."""
    job, name = session.job, _name(source)
    try:
        return await session.run(name, lambda callbacks: enroll(source, callbacks), emit_json=emit_json)
    except (NoSuchInput, EmptyInput) as nothing:
        if not is_nothing_to_do(nothing, job):
            raise
        is_empty = isinstance(nothing, EmptyInput)
        return report_nothing_new(
            job,
            name,
            monitor=session.monitor,
            is_empty=is_empty,
            emit_json=emit_json,
            notices=nothing.notices,
        )
    except AlreadyFinished as earlier:
        if not is_nothing_to_do(earlier, job):
            raise
        line = nothing_new_line(name, earlier=earlier)
        if not job.output.quiet:
            console.print_message(line)
        console.print_notices(earlier.notices)
        session.monitor.end(0, about=name, reason=line, notices=earlier.notices)
        if isinstance(source, Path):
            await run_in_thread(_archive_done, job, [(source, earlier.input_sha256)])
        nothing_new = build_nothing_new_summary(
            _requested(job, source), at=SystemClock().now(), earlier=earlier, notices=earlier.notices
        )
        output_json(job, nothing_new, emit_json)
        return 0


def _requested(job: Job, source: Source | str) -> RequestedRun:
    return RequestedRun(input_name=_name(source), url=job.url, scenario=job.scenario)


def _name(source: Source | str) -> str:
    match source:
        case str():
            return source
        case Path():
            return source.name
        case Remote():
            return source.shown
    return "the standard input"
