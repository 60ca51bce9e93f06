"""The input of a run: its local copy, its opened table, and the names by which people and the ledger know it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from batch_enroll.config.job import Job
from batch_enroll.config.secrets import read_secret_file
from batch_enroll.daemon_threads import open_in_thread, raise_if_abandoned
from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import NO_PATH
from batch_enroll.loading import InputTable, open_table
from batch_enroll.loading.download import download
from batch_enroll.loading.remote_address import Remote
from batch_enroll.loading.temp_copies import private_temp_dir
from batch_enroll.messages import message
from batch_enroll.models import DownloadedInput

Source = Path | BinaryIO | Remote
"""An input as it was named: a file, standard input, or an address."""

LocalInput = Path | BinaryIO | DownloadedInput
"""An input that can be read on this machine."""


def path_text(source: LocalInput) -> str:
    """Write the input's place as the ledger keeps it: an edited file is recognised by its absolute path."""
    match source:
        case Path():
            return str(source.absolute())
        case DownloadedInput():
            return source.place
    return NO_PATH


def name_text(source: LocalInput) -> str:
    """Name the input for people: a file's own name, a whole address, `-` for standard input."""
    return source.name if isinstance(source, Path | DownloadedInput) else NO_PATH


def file_name(place: Path | Remote) -> str:
    """Give a file's name without its folder."""
    return place.name if isinstance(place, Path) else place.parts.path.rpartition("/")[2]


def readable(source: LocalInput) -> Path | BinaryIO:
    """Give what the loader reads."""
    return source.path if isinstance(source, DownloadedInput) else source


@asynccontextmanager
async def local_copy(source: Source, job: Job, ledger: Ledger) -> AsyncIterator[LocalInput]:
    """Download a remote input for as long as the block runs; a local one is given as it is.

    Raises:
        InputError, JobError: as `loading.download.download`.
    """
    if not isinstance(source, Remote):
        yield source
        return
    if job.input.archive is not None:
        raise JobError(message("run.archive_not_a_file", source=str(source)))
    salt = await ledger.salt()

    def get(stack: ExitStack) -> DownloadedInput:
        return download(source, stack.enter_context(private_temp_dir()), salt=salt, stop_reason=_stop_if_abandoned)

    async with open_in_thread(get) as downloaded:
        yield downloaded


def _stop_if_abandoned() -> str:
    raise_if_abandoned()
    return ""


@asynccontextmanager
async def open_input(source: LocalInput, job: Job) -> AsyncIterator[InputTable]:
    """Open the job's table of an input in a worker thread; its temporary copies are removed when the block ends.

    `InputTable.blocks` blocks as well: read them in a thread.

    Raises:
        InputError, JobError: as `open_table` and `read_secret_file`.
    """

    def open_(stack: ExitStack) -> InputTable:
        secret = job.input.password_file
        password = read_secret_file(secret, what="password file") if secret else None
        wanted = [job.match.column, *(column for _, column in job.content)]
        spool = stack.enter_context(private_temp_dir())
        options = job.input.options(password=password)
        return stack.enter_context(
            open_table(readable(source), options, wanted=wanted, matching=job.match.column, spool=spool)
        )

    async with open_in_thread(open_) as table:
        yield table
