"""Move an enrolled input to the archive folder; no file there is overwritten, and a file that changed stays."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batch_enroll.atomic_file import OWNER_ONLY, SHARED_FOLDER, AtomicFile, sync_folder
from batch_enroll.config.job import Job
from batch_enroll.errors import JobError, RunStopped
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.summary import RunEnd, RunSummary

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


def check_archive(folder: Path, source: object) -> None:
    """Make sure, before anything is sent, that the input can be moved to the archive at the end.

    Args:
        folder: made when it is not there and the folder around it is.
        source: the input: a path, or something that cannot be moved.
    Raises:
        JobError: it cannot.
    """
    if not isinstance(source, Path):
        raise JobError(message("run.archive_not_a_file", source="this input"))
    unusable = message("run.archive_unusable", folder=str(folder))
    with translate_os_errors(unusable, to=JobError, hint=message("run.archive_unusable_hint"), writes=folder):
        folder.mkdir(mode=SHARED_FOLDER, exist_ok=True)
        if folder.samefile(source.absolute().parent):
            raise JobError(message("run.archive_is_input_folder", folder=str(folder)))
    probe = folder / f".{secrets.token_hex(4)}.part"
    with translate_os_errors(unusable, to=JobError, hint=message("run.archive_unusable_hint"), writes=probe):
        probe.touch(exist_ok=False)
        probe.unlink()


def archive_finished(summary: RunSummary, source: object, job: Job, *, sha256: str) -> RunSummary:
    """Move the input of a finished run if the job says so; add the new path, or the problem, to the summary."""
    if job.input.archive is None or not isinstance(source, Path) or summary.end is not RunEnd.FINISHED:
        return summary
    try:
        return replace(summary, archived=archive_input(source, job.input.archive, sha256=sha256))
    except RunStopped as error:
        logger.warning("the input of run %s was not moved to the archive", summary.run_id)
        return replace(summary, archive_problem=str(error))


def archive_input(source: Path, folder: Path, *, sha256: str) -> Path:
    """Move an input to the archive; `name.csv` becomes `name.2.csv` there when the name is taken.

    Args:
        source: the input.
        folder: the archive.
        sha256: hex, of what was enrolled: another file that replaced the input meanwhile stays.
    Returns:
        The new path.
    Raises:
        RunStopped: it cannot be moved, or another file replaced it; it stays where it is.
    """
    not_moved = message("run.archive_not_moved", source=str(source), folder=str(folder))
    with translate_os_errors(not_moved, hint=message("run.archive_by_hand")):
        if source.is_symlink():
            raise RunStopped(
                message("run.archive_is_link", source=str(source), folder=str(folder)),
                hint=message("run.archive_by_hand"),
            )
        with source.open("rb") as file:
            enrolled = os.fstat(file.fileno())
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise _changed(source)
        target = _reserve(folder, source.name)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                target.unlink()
                raise
            _move_to_other_disk(source, target, enrolled)
        else:
            if not _is_same(enrolled, target.stat()):
                raise _put_back(target, source)
        sync_folder(folder)
        sync_folder(source.absolute().parent)
        return target


def _reserve(folder: Path, name: str) -> Path:
    """Reserve a free name in the archive by an empty file, which the input then replaces."""
    for free in _numbered_names(name):
        with suppress(FileExistsError):
            (folder / free).touch(exist_ok=False)
            return folder / free
    raise AssertionError("names never end")


def _move_to_other_disk(source: Path, target: Path, enrolled: os.stat_result) -> None:
    """Copy, put the copy on disk, and only then remove the input, if it is still the same file."""
    try:
        with source.open("rb") as file, AtomicFile(target, mode=OWNER_ONLY) as copy:
            shutil.copyfileobj(file, copy.binary, _CHUNK_BYTES)
            copy.commit()
        shutil.copystat(source, target)
        aside = source.with_name(f".{source.name}.{secrets.token_hex(4)}.part")
        source.replace(aside)  # a file that replaces the input from now on is not removed
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if not _is_same(enrolled, aside.stat()):
        target.unlink()
        raise _put_back(aside, source)
    aside.unlink()


def _put_back(moved: Path, source: Path) -> RunStopped:
    """Rename a file that was moved by mistake back, unless a newer one has its name; build the error."""
    try:
        os.link(moved, source)
    except OSError as error:
        if isinstance(error, FileExistsError) or source.exists():
            return RunStopped(message("run.archive_replaced_twice", source=str(source), moved=str(moved)))
        moved.replace(source)  # a disk without links
    else:
        moved.unlink()
    return _changed(source)


def _numbered_names(name: str) -> Iterator[str]:
    yield name
    stem, dot, suffix = name.partition(".") if not name.startswith(".") else (name, "", "")
    number = 2
    while True:
        yield f"{stem}.{number}{dot}{suffix}"
        number += 1


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_ino, before.st_dev, before.st_size, before.st_mtime_ns) == (
        now.st_ino,
        now.st_dev,
        now.st_size,
        now.st_mtime_ns,
    )


def _changed(source: Path) -> RunStopped:
    return RunStopped(message("run.archive_changed", source=str(source)))
