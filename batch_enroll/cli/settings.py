"""What every command that works on a job does first: argv and environment become a `Job`, an input and a token.

In: parsed arguments. Out: values for `run`. Never: a request, a screen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from batch_enroll.cli import screen
from batch_enroll.cli.flags import JOB_VARIABLE, PROFILE_VARIABLE, given_settings
from batch_enroll.errors import InputError, JobError
from batch_enroll.job import Job
from batch_enroll.job_file import KeyPath, build_job, read_job_file
from batch_enroll.job_profiles import choose_profile
from batch_enroll.ledger.interface import Ledger
from batch_enroll.secrets import TOKEN_VARIABLE, open_to_others, read_token

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """What a job file says, its profile laid over it."""

    name: str  #: as the person named it; "" when there is none
    settings: Mapping[str, Any]
    places: Mapping[KeyPath, str]  #: of the values that the profile gave


def job_of(args: argparse.Namespace) -> Job:
    """Build the job from flags, environment and job file.

    Raises:
        JobError: with every mistake and its place.
    """
    file = job_file_of(args)
    return build_job(
        file=file.settings,
        file_name=file.name or "the job file",
        file_places=file.places,
        given=given_settings(args, os.environ),
    )


def job_file_of(args: argparse.Namespace) -> JobFile:
    """Read the job file that `--job` or its variable names, with the profile that `--profile` or its variable names.

    Raises:
        JobError: it cannot be read, or has no such profile.
    """
    named = args.job or os.environ.get(JOB_VARIABLE) or ""
    profile, place = args.profile, "--profile"
    if not profile:
        profile, place = os.environ.get(PROFILE_VARIABLE, "").strip() or None, PROFILE_VARIABLE
    if not named:
        if profile:
            raise JobError(f"{place}: profiles stand in a job file, and none was named.", hint="Name it with --job.")
        return JobFile(name="", settings={}, places={})
    settings, places = choose_profile(read_job_file(Path(named)), profile, file_name=named, place=place)
    return JobFile(name=named, settings=settings, places=places)


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
    """Find the token, and keep it out of everything that is said from now on.

    Raises:
        JobError: there is none.
    """
    token = read_token(environment=os.environ, token_file=job.token_file, url=job.url)
    screen.keep_secret(token)
    from_variable = os.environ.get(TOKEN_VARIABLE, "").strip()
    for path in (None if from_variable else job.token_file, job.input.password_file):
        if path is not None and open_to_others(path):
            screen.say(f"Other users of this machine can read {path}, which holds a secret: chmod 600 {path}")
    return token


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
