"""Turn arguments and environment into the job, the input, the token and the ledger of a command."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from batch_enroll.cli import console
from batch_enroll.cli.options import given_settings, refuse_unknown_variables
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.config.job_profiles import choose_profile
from batch_enroll.config.load import build_job, read_job_file
from batch_enroll.config.secrets import TOKEN_VARIABLE, open_to_others, read_token
from batch_enroll.config.settings import JOB_VARIABLE, PROFILE_VARIABLE, KeyPath
from batch_enroll.config.value_parsers import is_loopback
from batch_enroll.errors import InputError, JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.loading.file_selection import is_multi_input
from batch_enroll.loading.remote_address import Remote, is_remote, remote_input
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.run.input_selection import SelectedInputs, select_inputs

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """The settings of a job file with its profile."""

    name: str  #: as the person named it; "" when there is none
    settings: Mapping[str, Any]
    places: Mapping[KeyPath, str]  #: of the values that the profile gave


# Stands for what a command that only asks the platform does not need; a job file need not say it yet.
_NO_SCENARIO: Mapping[str, Any] = {"scenario": 1, "match": {"mode": "profile_id", "column": "-"}}


def build_job_from_args(args: argparse.Namespace, *, only_platform: bool = False) -> Job:
    """Build the job from flags, environment and job file.

    Args:
        only_platform: the command needs the way to the platform alone: scenario and matching may be missing.
    Raises:
        JobError: with every mistake and its place.
    """
    refuse_unknown_variables(os.environ)
    file = job_file_of(args)
    return build_job(
        file={"name": Path(file.name).stem, **file.settings, **(_NO_SCENARIO if only_platform else {})},
        file_name=file.name or "the job file",
        file_places=file.places,
        given=given_settings(args, os.environ),
    )


def job_file_of(args: argparse.Namespace) -> JobFile:
    """Read the job file that `--job` or its variable names, with the profile that `--profile` or its variable names.

    Raises:
        JobError: it cannot be read, or has no such profile.
    """
    named, profile, place = _named(args)
    if not named:
        if profile:
            raise JobError(message("job.profile_without_file", place=place))
        return JobFile(name="", settings={}, places={})
    settings, places = choose_profile(read_job_file(Path(named)), profile, file_name=named, place=place)
    notify = settings.get("notify")
    if isinstance(notify, dict) and ("urls" in notify or "heartbeat" in notify):
        warn_if_open(Path(named))
    return JobFile(name=named, settings=settings, places=places)


def job_file_path(args: argparse.Namespace) -> Path | None:
    """Give the path of the job file, None when there is none."""
    named, _, _ = _named(args)
    return Path(named) if named else None


def job_name(args: argparse.Namespace) -> str:
    """Name the job for the lock that lets it run only once at a time: its file and its profile.

    "" when there is no job file.
    """
    path = job_file_path(args)
    return f"{path.resolve()} {_named(args)[1] or ''}" if path else ""


def _named(args: argparse.Namespace) -> tuple[str, str | None, str]:
    """Return the job file, the profile, and where the profile was named."""
    named = args.job or os.environ.get(JOB_VARIABLE) or ""
    if args.profile:
        return named, args.profile, "--profile"
    return named, os.environ.get(PROFILE_VARIABLE, "").strip() or None, PROFILE_VARIABLE


def source_of(name: str) -> Path | BinaryIO:
    """Find the input.

    Raises:
        InputError: there is no such file, or it is a folder.
    """
    if name == STDIN:
        # Past the buffer: a thread that waits in it holds a lock which the process's end needs.
        return cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
    path = Path(name)
    if path.is_dir():
        raise InputError(message("job.input_is_a_folder", name=name))
    if path.is_symlink() and not path.exists():
        raise InputError(message("job.dangling_link", name=name, target=str(path.readlink())))
    if not path.exists():
        near = _nearest_file(path)
        raise InputError(
            message("job.no_such_file", name=name), hint=message("job.did_you_mean", near=near) if near else None
        )
    return path


def input_name(args: argparse.Namespace) -> str:
    """What the input is called; an address without the secrets it may hold."""
    return Remote(args.input).shown if is_remote(args.input) else str(args.input)


def local_input(args: argparse.Namespace) -> Path | None:
    """Give the path of the input when it is one file of this machine, whether it is there or not."""
    with contextlib.suppress(OSError):  # a name that is too long: `sources_of` says so
        if args.input != STDIN and not is_remote(args.input) and not is_multi_input(args.input):
            return Path(args.input)
    return None


async def sources_of(args: argparse.Namespace, job: Job, *, ledger: Ledger, clock: Clock) -> SelectedInputs:
    """Find the inputs: one, or those that the job picks of a folder or a pattern, with what was passed over.

    There are none when there is nothing new and the job takes that for good news.

    Raises:
        InputError: there is no such file, or it is open which of several is meant.
    """
    if is_remote(args.input):
        remote = remote_input(args.input, plain_allowed=lambda host: job.insecure_http or is_loopback(host))
        if remote.names_many:
            return await select_inputs(remote, job, ledger=ledger, clock=clock)
        return SelectedInputs(files=(remote,))
    # a name that is too long, a folder on the way that may not be entered
    with translate_os_errors(message("job.input_unusable"), to=InputError, hint=message("file.check_name")):
        if is_multi_input(args.input):
            own = job_file_path(args)
            leave = (own.resolve(),) if own else ()
            return await select_inputs(args.input, job, ledger=ledger, clock=clock, exclude=leave)
        if job.input.if_changed and args.input != STDIN and _is_not_there_yet(Path(args.input)):
            return SelectedInputs(files=())
        return SelectedInputs(files=(source_of(args.input),))


def token_of(job: Job) -> str:
    """Find the token, and mask it in all output from now on.

    Raises:
        JobError: there is none.
    """
    token = read_token(environment=os.environ, token_file=job.token_file, url=job.url)
    console.register_secret(token)
    from_variable = os.environ.get(TOKEN_VARIABLE, "").strip()
    for path in (None if from_variable else job.token_file, job.input.password_file):
        if path is not None:
            warn_if_open(path)
    return token


@functools.cache
def warn_if_open(path: Path) -> None:
    """Warn, once, of a file with a secret that other users may read."""
    if open_to_others(path):
        console.print_message(str(message("job.secret_readable", path=str(path))))


def ledger_of(job: Job) -> Ledger:
    """Open the ledger that the job names, or the one in the user's data folder.

    Raises:
        LedgerError: the place is not suitable for a ledger.
    """
    from batch_enroll.ledger.location import open_ledger

    return open_ledger(job.output.ledger)


def _is_not_there_yet(path: Path) -> bool:
    """Return whether the file may still come: its folder exists, it does not."""
    return path.parent.is_dir() and not path.exists()


def _nearest_file(path: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return next((str(path.parent / name) for name in difflib.get_close_matches(path.name, names, n=1)), "")
