"""What every command that works on a job does first: argv and environment become a `Job`, an input and a token.

In: parsed arguments. Out: values for `run`. Never: a request, a screen.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from batch_enroll.cli.flags import JOB_VARIABLE, given_settings
from batch_enroll.errors import InputError
from batch_enroll.job import Job
from batch_enroll.job_file import build_job, read_job_file
from batch_enroll.ledger.interface import Ledger
from batch_enroll.secrets import read_token

STDIN = "-"


def job_of(args: argparse.Namespace) -> Job:
    """Build the job from flags, environment and job file.

    Raises:
        JobError: with every mistake and its place.
    """
    named = args.job or os.environ.get(JOB_VARIABLE)
    file: dict[str, Any] = read_job_file(Path(named)) if named else {}
    return build_job(file=file, file_name=named or "the job file", given=given_settings(args, os.environ))


def source_of(name: str) -> Path | BinaryIO:
    """Find the input.

    Raises:
        InputError: there is no such file, or it is a folder.
    """
    if name == STDIN:
        return sys.stdin.buffer
    path = Path(name)
    if path.is_dir():
        raise InputError(f"{name} is a folder.", hint="Name the spreadsheet in it.")
    if not path.exists():
        near = _nearest_file(path)
        raise InputError(f"There is no file {name}.", hint=f"Did you mean {near}?" if near else "")
    return path


def token_of(job: Job) -> str:
    """Find the token.

    Raises:
        JobError: there is none.
    """
    return read_token(environment=os.environ, token_file=job.token_file, url=job.url)


def ledger_of(job: Job) -> Ledger:
    """Open the ledger that the job names, or the one in the user's data folder.

    Raises:
        LedgerError: the place cannot keep a promise.
    """
    from batch_enroll.ledger.default import open_ledger

    return open_ledger(job.output.ledger)


def _nearest_file(path: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return next((str(path.parent / name) for name in difflib.get_close_matches(path.name, names, n=1)), "")
