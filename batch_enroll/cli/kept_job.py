"""Build the job with which an earlier run is sent: its kept settings, overlaid by job file, variables and flags."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any, Final

from batch_enroll.cli import console
from batch_enroll.cli.job_options import job_file_of
from batch_enroll.cli.options import given_settings, refuse_unknown_variables
from batch_enroll.config.job import Job
from batch_enroll.config.load import build_job, deep_copy
from batch_enroll.config.settings import KeyPath
from batch_enroll.errors import JobError
from batch_enroll.ledger.records import RunRecord
from batch_enroll.messages import message

# What the plan and its requests were made with: it cannot change any more.
_PLANNED: Final[tuple[KeyPath, ...]] = (
    ("url",),
    ("scenario",),
    ("match",),
    ("content",),
    ("input",),
    ("send", "duplicates"),
    ("send", "enrolled_before"),
    ("send", "window"),
    ("send", "again"),
)
_NOT_PLANNED: Final[tuple[KeyPath, ...]] = (("input", "archive"),)  # concerns the file, not its rows
_COMPARED: Final = ("url", "scenario", "match", "content")  # of a job file: a difference is said
# What one start of the run was told about its own screen and its choice of files; the next start says it anew.
_OF_ONE_START: Final[Mapping[str, tuple[str, ...]]] = {
    "output": ("yes", "json", "quiet", "verbose", "ledger"),
    "input": ("pick", "if_changed"),
}


def build_kept_job(args: argparse.Namespace, record: RunRecord) -> Job:
    """Build the job of an earlier run; rate, limits, outputs and monitoring may differ from the kept ones.

    Raises:
        JobError: a setting is not valid, or a flag asks for other requests than the planned ones.
    """
    refuse_unknown_variables(os.environ)
    file = job_file_of(args)
    given = given_settings(args, os.environ)
    kept = Job.settings_from_json(record.settings_json)
    for section, keys in _OF_ONE_START.items():
        for key in keys:
            kept.get(section, {}).pop(key, None)
    name = file.name or f"run {record.run_id}"
    free = tuple(item for item in given if not _is_planned(item.path))
    job = build_job(file=_overlay(kept, file.settings), file_name=name, file_places=file.places, given=free)
    fixed = tuple(item for item in given if _is_planned(item.path))
    asked = build_job(file=kept, file_name=name, given=tuple(item for item in fixed if item.place.startswith("--")))
    if changed := [item.place for item in fixed if item.place.startswith("--") and _differs(asked, job, item.path)]:
        raise JobError(message("run.sent_as_planned", run_id=record.run_id, names=tuple(dict.fromkeys(changed))))
    in_file = {key: file.settings[key] for key in _COMPARED if key in file.settings}
    written = build_job(file={**kept, **in_file}, file_name=name, file_places=file.places, given=fixed)
    if differing := tuple(key for key in _COMPARED if getattr(written, key) != getattr(job, key)):
        console.print_message(str(message("run.kept_as_planned", run_id=record.run_id, names=differing)))
    return job


def _is_planned(path: KeyPath) -> bool:
    return path not in _NOT_PLANNED and any(path[: len(planned)] == planned for planned in _PLANNED)


def _differs(asked: Job, job: Job, path: KeyPath) -> bool:
    planned = next(planned for planned in _PLANNED if path[: len(planned)] == planned)
    one, other = asked, job
    for key in planned:
        one, other = getattr(one, key), getattr(other, key)
    return bool(one != other)


def _overlay(kept: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a job file over kept settings, key by key; what belongs to the plan stays."""
    merged = deep_copy(kept)
    for name, value in file.items():
        if not isinstance(value, dict):
            if not _is_planned((name,)):
                merged[name] = value
            continue
        holder = merged.setdefault(name, {})
        holder.update({key: inner for key, inner in value.items() if not _is_planned((name, key))})
    return merged
