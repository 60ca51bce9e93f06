"""Which inputs a command means: one file, or some of those in a folder or of a pattern.

In: the input's name, a job, the ledger. Out: the inputs in the order in which they are enrolled, and what was passed
over. Never: a change of a file or of the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from batch_enroll.background import open_in_thread, raise_if_abandoned, run_abandonable
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.errors import InputError, JobError
from batch_enroll.ledger.interface import Ledger, RunRecord, RunState
from batch_enroll.loading.download import download, list_files
from batch_enroll.loading.file_selection import FileMatches, SkippedFiles, find_files
from batch_enroll.loading.input_copy import sha256_of
from batch_enroll.loading.remote import Remote
from batch_enroll.loading.temp_copies import private_temp_dir
from batch_enroll.models import DownloadedInput, Pick
from batch_enroll.reporting.result_paths import result_paths
from batch_enroll.run.open_input import open_input
from batch_enroll.run.run_identity import run_identity

_SHOWN = 5

Source = Path | BinaryIO | Remote
"""An input as it was named: a file, standard input, or an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedInputs:
    """The inputs that a command means."""

    files: tuple[Source, ...]  #: to enroll, one after the other; none when there is nothing new
    passed_over: tuple[SkippedFiles, ...] = ()
    done: tuple[tuple[Path, str], ...] = ()  #: of this machine, enrolled before, each with the sha256 of its content

    @property
    def told(self) -> str:
        """The files that were passed over and why, in one line; "" when there are none."""
        return f"Passed over: {'; '.join(map(str, self.passed_over))}." if self.passed_over else ""


async def pick_inputs(
    name: str | Remote, job: Job, *, ledger: Ledger, clock: Clock, leave: tuple[Path, ...] = ()
) -> SelectedInputs:
    """Choose from a folder or a pattern, by the job's rule.

    Args:
        name: of the folder, or the pattern; an address of one that lies elsewhere.
        leave: resolved paths of files that are no input, such as the job's own.
    Raises:
        InputError: there is no such folder; several files fit and no rule says which; with a job that does not take
            that for good news, also that nothing is there.
    """
    found: FileMatches[Path] | FileMatches[Remote]
    if isinstance(name, Remote):
        found = await run_abandonable(partial(list_files, name, now=clock.now(), settle_s=job.input.settle))
    else:
        find = partial(find_files, name, now=clock.now(), settle_s=job.input.settle)
        found = await run_abandonable(lambda: find(leave=(*_not_inputs(job), *leave)))
    match job.input.pick:
        case None if len(found.files) > 1:
            raise _which(str(name), found)
        case Pick.NEWEST:
            picked = SelectedInputs(files=found.files[-1:], passed_over=found.passed_over)
        case Pick.NEW:
            picked = await _new_ones(found, job, ledger)
        case _:
            picked = SelectedInputs(files=found.files, passed_over=found.passed_over)
    if not picked.files and not job.input.if_changed:
        raise InputError(
            f"There is no file to enroll in {name}.",
            hint=f"{picked.told} With --if-changed this is no mistake.".strip(),
        )
    return picked


async def _new_ones(found: FileMatches[Path] | FileMatches[Remote], job: Job, ledger: Ledger) -> SelectedInputs:
    """Leave out what finished runs enrolled; a file is known by its content, whatever it is called.

    One that lies elsewhere is brought here to be known, unless no run has finished yet.
    """
    finished = {record.input_sha256 for record in await ledger.runs() if _did_the_same(record, job)}
    new: list[Path | Remote] = []
    done: list[str] = []
    here: list[tuple[Path, str]] = []
    for place in found.files:
        sha256 = await _finished_as(place, finished, job, ledger) if finished else ""
        if not sha256:
            new.append(place)
            continue
        done.append(name_of(place))
        if isinstance(place, Path):
            here.append((place, sha256))
    passed_over = found.passed_over
    if done:
        passed_over = (SkippedFiles(why="enrolled before", names=tuple(done)), *passed_over)
    return SelectedInputs(files=tuple(new), passed_over=passed_over, done=tuple(here))


async def _finished_as(place: Path | Remote, finished: Collection[str], job: Job, ledger: Ledger) -> str:
    """Give the sha256 under which a finished run enrolled this file; "" when none did."""
    try:
        async with local_copy(place, job, ledger) as brought:
            path = brought.path if isinstance(brought, DownloadedInput) else place
            if not isinstance(path, Path):
                return ""
            sha256 = await run_abandonable(sha256_of, path)
            return sha256 if sha256 in finished and await _is_finished(path, job, ledger) else ""
    except InputError:  # it cannot be fetched, which its own run will say
        return ""


@asynccontextmanager
async def local_copy(source: Source, job: Job, ledger: Ledger) -> AsyncIterator[Path | BinaryIO | DownloadedInput]:
    """Have the input on this machine while the block runs; the copy of one that lies elsewhere goes with it.

    Raises:
        InputError, JobError: as `loading.download.download`.
    """
    if not isinstance(source, Remote):
        yield source
        return
    if job.input.archive is not None:
        raise JobError(f"--archive moves a file of this machine; {source} is none.", hint="Leave --archive out.")
    salt = await ledger.salt()

    def get(stack: ExitStack) -> DownloadedInput:
        return download(source, stack.enter_context(private_temp_dir()), salt=salt, stop_reason=_given_up)

    async with open_in_thread(get) as fetched:
        yield fetched


def _given_up() -> str:
    raise_if_abandoned()
    return ""


def _did_the_same(record: RunRecord, job: Job) -> bool:
    same = (record.url, record.scenario, record.matching) == (job.url, job.scenario, str(job.matching))
    return same and record.state is RunState.FINISHED


async def _is_finished(path: Path, job: Job, ledger: Ledger) -> bool:
    """Ask for the very sheet and rows that the job means; what cannot be read is for its own run to complain of."""
    try:
        async with open_input(path, job) as table:
            identity = run_identity(job, table)
    except InputError:
        return False
    return any(record.state is RunState.FINISHED for record in await ledger.find(identity))


def _not_inputs(job: Job) -> list[Path]:
    """The job's own files, which may lie in the same folder."""
    own = [job.token_file, job.input.password_file, job.input.archive, job.output.log_file]
    if job.output.results is not None:
        own += result_paths("", run_id="", results=job.output.results).all()
    if job.output.ledger is not None:
        own.append(Path(job.output.ledger).expanduser())
    return [path.resolve() for path in own if path is not None]


def name_of(place: Path | Remote) -> str:
    """The name of a file without the folder that it lies in."""
    return place.name if isinstance(place, Path) else place.parts.path.rpartition("/")[2]


def _which(name: str, found: FileMatches[Path] | FileMatches[Remote]) -> InputError:
    names = [name_of(place) for place in found.files]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return InputError(
        f"{name} holds {len(names):,} files that could be meant: {', '.join(names[:_SHOWN])}{more}.",
        hint="Say which with --pick newest or --pick new (each that was not enrolled before), or name one file.",
    )
