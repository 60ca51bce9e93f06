"""Select the inputs that a command means: one file, or some of those in a folder or of a pattern."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import run_abandonable
from batch_enroll.errors import InputError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord, RunState
from batch_enroll.loading.download import list_files
from batch_enroll.loading.file_selection import FileMatches, SkippedFiles, find_files
from batch_enroll.loading.input_copy import sha256_of
from batch_enroll.loading.remote_address import Remote
from batch_enroll.messages import message, verbatim
from batch_enroll.models import DownloadedInput, Pick
from batch_enroll.reporting.result_paths import result_paths
from batch_enroll.run.input_source import Source, file_name, local_copy, open_input
from batch_enroll.run.run_identity import run_identities

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedInputs:
    """The inputs that a command means."""

    files: tuple[Source, ...]  #: to enroll, one after the other; none when there is nothing new
    skipped: tuple[SkippedFiles, ...] = ()
    enrolled_before: tuple[tuple[Path, str], ...] = ()  #: skipped local files, each with the sha256 of its content

    @property
    def skipped_text(self) -> str:
        """The skipped files and why, in one line; "" when there are none."""
        files = "; ".join(map(str, self.skipped))
        return str(message("run.skipped_files", files=files)) if files else ""


async def select_inputs(
    name: str | Remote, job: Job, *, ledger: Ledger, clock: Clock, exclude: tuple[Path, ...] = ()
) -> SelectedInputs:
    """Choose from a folder or a pattern, by the job's rule.

    Args:
        name: of the folder, or the pattern; or its address.
        exclude: resolved paths of files that are no input, such as the job's own.
    Raises:
        InputError: there is no such folder; several files match and no rule says which; no file is new, unless the
            job allows that.
    """
    found: FileMatches[Path] | FileMatches[Remote]
    if isinstance(name, Remote):
        found = await run_abandonable(partial(list_files, name, now=clock.now(), settle_s=job.input.settle))
    else:
        find = partial(find_files, name, now=clock.now(), settle_s=job.input.settle)
        found = await run_abandonable(lambda: find(leave=(*_own_files(job), *exclude)))
    match job.input.pick:
        case None if len(found.files) > 1:
            raise _several_match(str(name), found)
        case Pick.NEWEST:
            picked = SelectedInputs(files=found.files[-1:], skipped=found.passed_over)
        case Pick.NEW:
            picked = await _new_inputs(found, job, ledger)
        case _:
            picked = SelectedInputs(files=found.files, skipped=found.passed_over)
    if not picked.files and not job.input.if_changed:
        raise InputError(message("run.no_input_found", name=str(name)), hint=verbatim(picked.skipped_text))
    return picked


async def _new_inputs(found: FileMatches[Path] | FileMatches[Remote], job: Job, ledger: Ledger) -> SelectedInputs:
    """Leave out what finished runs enrolled; a file is recognised by its content, whatever its name.

    A remote file is downloaded for that, unless no run has finished yet.
    """
    finished = {record.input_sha256 for record in await ledger.runs() if _is_same_job(record, job)}
    new: list[Path | Remote] = []
    done: list[str] = []
    local: list[tuple[Path, str]] = []
    for place in found.files:
        sha256 = await _finished_sha256(place, finished, job, ledger) if finished else ""
        if not sha256:
            new.append(place)
            continue
        done.append(file_name(place))
        if isinstance(place, Path):
            local.append((place, sha256))
    skipped = found.passed_over
    if done:
        skipped = (SkippedFiles(why="enrolled before", names=tuple(done)), *skipped)
    return SelectedInputs(files=tuple(new), skipped=skipped, enrolled_before=tuple(local))


async def _finished_sha256(place: Path | Remote, finished: Collection[str], job: Job, ledger: Ledger) -> str:
    """Give the sha256 under which a finished run enrolled this file; "" when none did."""
    try:
        async with local_copy(place, job, ledger) as copy:
            path = copy.path if isinstance(copy, DownloadedInput) else place
            if not isinstance(path, Path):
                return ""
            sha256 = await run_abandonable(sha256_of, path)
            return sha256 if sha256 in finished and await _is_finished(path, job, ledger) else ""
    except InputError:  # it cannot be downloaded: its own run reports that
        return ""


def _is_same_job(record: RunRecord, job: Job) -> bool:
    same = (record.url, record.scenario, record.matching) == (job.url, job.scenario, str(job.matching))
    return same and record.state is RunState.FINISHED


async def _is_finished(path: Path, job: Job, ledger: Ledger) -> bool:
    """Look for a finished run over the job's sheet and rows; what cannot be read counts as new, and its run fails."""
    try:
        async with open_input(path, job) as table:
            identities = await run_identities(job, table, ledger)
    except InputError:
        return False
    return any(record.state is RunState.FINISHED for record in await ledger.find(identities))


def _own_files(job: Job) -> list[Path]:
    """List the job's own files, which may be in the same folder."""
    own = [
        job.token_file,
        job.ca_file,
        job.client_cert,
        job.input.password_file,
        job.input.archive,
        job.output.log_file,
    ]
    if job.output.results is not None:
        own += result_paths("", run_id="", results=job.output.results).all()
    if job.output.ledger is not None:
        own.append(Path(job.output.ledger).expanduser())
    return [path.resolve() for path in own if path is not None]


def _several_match(name: str, found: FileMatches[Path] | FileMatches[Remote]) -> InputError:
    names = [file_name(place) for place in found.files]
    if len(names) > _SHOWN:
        return InputError(
            message(
                "run.more_inputs_match", name=name, count=len(names), names=names[:_SHOWN], more=len(names) - _SHOWN
            )
        )
    return InputError(message("run.several_inputs_match", name=name, count=len(names), names=names))
