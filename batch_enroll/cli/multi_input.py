"""One command, its inputs one after the other: each is a run of its own, and the command tells of all of them.

In: a job, the inputs, a way to enroll one of them. Out: the exit code and, with `--json`, one object. Never: a decision
about rows; an input begun after a run that stopped before its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from batch_enroll.background import run_in_thread
from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error
from batch_enroll.cli.run_monitor import RunMonitor
from batch_enroll.cli.run_session import RunCallbacks, is_nothing_to_do, run_and_report
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.errors import (
    AlreadyFinished,
    InputError,
    JobError,
    NoSuchInput,
    RunStopped,
)
from batch_enroll.loading.remote import Remote
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

Enroll = Callable[[Source, RunCallbacks], Awaitable[RunSummary]]
Put = Callable[[dict[str, object]], None]

_GO_ON_AFTER = (0, 1, 2, 4)  # a run that stopped early would stop the next one too


async def run_each(
    job: Job,
    token: str,
    sources: Sequence[Source],
    *,
    watch: RunMonitor,
    enroll: Enroll,
    asks: bool,
    approved: bool,
    clock: Clock,
) -> int:
    """Enroll every input in turn.

    With one input all is as if it had been named. With several, one that cannot be sent does not keep the others back,
    but a run that stopped does.

    Returns:
        The worst exit code, by the order of `several.worst_exit_code`.
    Raises:
        RunStopped: what ended the only input before its first request.
    """

    async def run(source: Source, put: Put | None) -> int:
        return await run_and_report(
            job,
            token,
            input_name=_name(source),
            watch=watch,
            asks=asks,
            approved=approved,
            begin=lambda hands: enroll(source, hands),
            put=put,
        )

    if len(sources) == 1:
        return await _run(job, sources[0], run, watch=watch, clock=clock, put=None)
    told: list[dict[str, object]] = []
    codes: list[int] = []
    for source in sources:
        if not job.output.quiet:
            console.print_message(f"{'' if not codes else chr(10)}Input {len(codes) + 1} of {len(sources)}: {source}")
        goes_on = True
        try:
            code = await _run(job, source, run, watch=watch, clock=clock, put=told.append)
        except RunStopped as error:
            console.print_error(f"{source}: {error.message}", hint=error.hint)
            watch.fail(error, about=_name(source))
            code = exit_code_for_error(error)
            told.append(watch.refusal(error, asked=_asked(job, source)))
            goes_on = isinstance(error, InputError | JobError)  # not what holds for every input
        codes.append(code)
        if not goes_on or code not in _GO_ON_AFTER:
            break
    left = sources[len(codes) :]
    if left:
        console.print_message(f"Left for the next time: {', '.join(map(str, left))}.")
    exit_code = worst_exit_code(codes)
    watch.end_all(exit_code, left=[_name(source) for source in left])
    together = build_multi_summary(told, left=list(map(str, left)), exit_code=exit_code)
    if not job.output.quiet:
        console.print_message(f"\n{multi_summary_line(together)}")
    if job.output.json_:
        console.print_json(together)
    return exit_code


def require_single_input(sources: Sequence[Source], flag: str) -> None:
    """Hold a flag that is about one input to one input.

    Raises:
        JobError: there are several.
    """
    if len(sources) > 1:
        raise JobError(
            f"{flag} is about one input, but {len(sources)} were picked: {', '.join(map(_name, sources))}.",
            hint="Name one of them.",
        )


def archive_done(job: Job, inputs: Sequence[tuple[Path, str]]) -> None:
    """Move inputs to the archive that an earlier run enrolled and could not move, or had no archive to move them to.

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
            console.print_error(error.message, hint=error.hint)
            continue
        if not job.output.quiet:
            console.print_message(f"Moved {path}, which was enrolled before, to {moved}.")


def report_nothing_new(
    job: Job,
    input_name: str,
    *,
    clock: Clock,
    watch: RunMonitor | None = None,
    passed_over: str = "",
    put: Put | None = None,
) -> int:
    """Say that there is no file to enroll, which is no mistake."""
    line = nothing_new_line(input_name, earlier=None, passed_over=passed_over)
    if not job.output.quiet:
        console.print_message(line)
    if watch is not None:
        watch.end(0, about=input_name, reason=line)
    return _tell(build_nothing_new_summary(_asked(job, input_name), at=clock.now(), earlier=None), job, put)


async def _run(
    job: Job,
    source: Source,
    run: Callable[[Source, Put | None], Awaitable[int]],
    *,
    watch: RunMonitor,
    clock: Clock,
    put: Put | None,
) -> int:
    """Enroll one input, or find that there is nothing new in it."""
    try:
        return await run(source, put)
    except NoSuchInput as missing:
        if not is_nothing_to_do(missing, job):
            raise
        return report_nothing_new(job, _name(source), clock=clock, watch=watch, put=put)
    except AlreadyFinished as earlier:
        if not is_nothing_to_do(earlier, job):
            raise
        line = nothing_new_line(_name(source), earlier=earlier)
        if not job.output.quiet:
            console.print_message(line)
        watch.end(0, about=_name(source), reason=line)
        if isinstance(source, Path):
            await run_in_thread(archive_done, job, [(source, earlier.input_sha256)])
        return _tell(build_nothing_new_summary(_asked(job, source), at=clock.now(), earlier=earlier), job, put)


def _tell(told: dict[str, object], job: Job, put: Put | None) -> int:
    """Hand over the JSON object of an input in which nothing was new, and give its exit code."""
    if put is not None:
        put(told)
    elif job.output.json_:
        console.print_json(told)
    return 0


def _asked(job: Job, source: Source | str) -> RequestedRun:
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
