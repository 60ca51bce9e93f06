"""Open an input in a worker thread: one that hangs holds neither the event loop nor the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from batch_enroll.background import open_in_thread
from batch_enroll.config.job import Job
from batch_enroll.config.secrets import read_secret_file
from batch_enroll.loading import Table, open_table
from batch_enroll.loading.temp_copies import private_temp_dir
from batch_enroll.models import DownloadedInput
from batch_enroll.run.run_identity import readable


@asynccontextmanager
async def open_input(source: Path | BinaryIO | DownloadedInput, job: Job) -> AsyncIterator[Table]:
    """Have the job's table of an input while the block runs; the copies made for it go with it.

    `Table.blocks` blocks as well: read them in a thread.

    Raises:
        InputError, JobError: as `open_table` and `read_secret_file`.
    """

    def open_(stack: ExitStack) -> Table:
        secret = job.input.password_file
        password = read_secret_file(secret, what="password file") if secret else None
        wanted = [job.match.column, *(column for _, column in job.content)]
        spool = stack.enter_context(private_temp_dir())
        options = job.input.options(password=password)
        return stack.enter_context(open_table(readable(source), options, wanted=wanted, spool=spool))

    async with open_in_thread(open_) as table:
        yield table
