"""Build the `Job` from flags, environment and job file.

Precedence: flag, then `BATCH_ENROLL_*` variable, then profile (see `job_profiles.py`), then job file, then default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from batch_enroll.config.job import (
    InputSection,
    Job,
    NotifySection,
    OutputSection,
    Section,
    SendSection,
)
from batch_enroll.config.settings import ONLY_FLAGS, SETTINGS, KeyPath
from batch_enroll.config.validation_messages import explain_errors
from batch_enroll.config.value_parsers import with_slash_of
from batch_enroll.errors import JobError
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_errors

_S = TypeVar("_S", bound=Section)

_MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 20  # tables and lists in each other; the settings need 4


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One value with the place where a person wrote it."""

    path: KeyPath
    value: Any
    place: str  #: as the person knows it: `--rate`, `BATCH_ENROLL_RATE`


def read_job_file(path: Path) -> dict[str, Any]:
    """Read the TOML of a job file with its profiles; relative paths in it start at the job file's folder.

    Raises:
        JobError: it cannot be read or is not TOML; the message names the line.
    """
    unreadable = message("job.file_unreadable", path=str(path))
    with translate_os_errors(unreadable, to=JobError), path.open("rb") as file:
        written = file.read(_MAX_BYTES + 1)
    try:
        if len(written) > _MAX_BYTES:
            raise JobError(message("job.file_too_long", path=str(path)))
        content = tomllib.loads(written.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise JobError(message("job.file_not_utf8", path=str(path))) from error
    except tomllib.TOMLDecodeError as error:
        raise JobError(message("job.file_not_toml", path=str(path), reason=str(error))) from error
    except RecursionError as error:
        raise JobError(message("job.file_too_deep", path=str(path))) from error
    if _is_too_deep(content):
        raise JobError(message("job.file_too_deep", path=str(path)))
    profiles = content.get("profile")
    for settings in (content, *(profiles.values() if isinstance(profiles, dict) else ())):
        _refuse_only_flags(settings, str(path))
        _resolve_paths(path.absolute().parent, settings)
        _resolve_ledger(path, settings)
    return content


def build_job(
    *,
    file: Mapping[str, Any],
    file_name: str,
    given: tuple[SettingValue, ...],
    file_places: Mapping[KeyPath, str] = MappingProxyType({}),
) -> Job:
    """Merge the given values into the job file and check the result.

    Args:
        file: content of the job file with its profile laid over it, empty when there is none.
        file_name: the job file as the person named it.
        given: values from the environment, then from flags: the later wins.
        file_places: where values stand in the job file that do not stand in its own sections.
    Raises:
        JobError: lists every mistake, each with its place and the nearest right name.
    """
    merged, places = merge_settings(file, given)
    return _validated(Job, merged, file_name, {**file_places, **places})


def merge_settings(
    file: Mapping[str, Any], given: tuple[SettingValue, ...]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Merge the given values into the job file, unchecked; return the result and the place of each given value."""
    merged = deep_copy(file)
    places: dict[KeyPath, str] = {}
    for item in given:
        holder = merged
        for name in item.path[:-1]:
            if not isinstance(holder.get(name), dict):
                holder[name] = {}
            holder = holder[name]
        holder[item.path[-1]] = item.value
        places[item.path] = item.place
    return merged, places


def notify_section_in(settings: Mapping[str, Any]) -> NotifySection | None:
    """Read the notification settings of a job that is wrong elsewhere; None when these are wrong as well."""
    try:
        return NotifySection.model_validate(settings.get("notify", {}))
    except ValidationError:
        return None


def build_input_section(values: Mapping[str, Any]) -> InputSection:
    """Check how a command without a job reads its input; each key is the name of a setting of `[input]`.

    Raises:
        JobError: as `build_job`.
    """
    places: dict[KeyPath, str] = {(name,): "--" + name.replace("_", "-") for name in values}
    return _validated(InputSection, values, "", places)


def build_output_section(values: Mapping[str, Any]) -> OutputSection:
    """Check where a command without a job writes; each key is the name of a setting of `[output]`.

    Raises:
        JobError: as `build_job`.
    """
    return _validated(OutputSection, values, "", {(name,): "--" + name.replace("_", "-") for name in values})


def build_rate_settings(values: Mapping[str, Any]) -> SendSection:
    """Check a new rate of a running run: `rate`, `concurrency` or both, as a job takes them.

    Raises:
        JobError: as `build_job`.
    """
    return _validated(SendSection, values, "", {(name,): f"--{name}" for name in values})


def _validated(model: type[_S], values: Mapping[str, Any], file_name: str, places: Mapping[KeyPath, str]) -> _S:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise JobError(explain_errors(found, values, file_name=file_name, places=places)) from None


def deep_copy(value: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a table and the tables in it."""
    return {key: deep_copy(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}


def _is_too_deep(content: object) -> bool:
    level = [content]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
        ]
    return bool(level)


def _refuse_only_flags(settings: object, place: str) -> None:
    for key, refusal in ONLY_FLAGS.items():
        section, name = key.split(".")
        holder = settings.get(section) if isinstance(settings, dict) else None
        if isinstance(holder, dict) and name in holder:
            raise JobError(message(refusal, place=place))


def _resolve_paths(folder: Path, settings: object) -> None:
    for *section, key in (setting.path for setting in SETTINGS if setting.is_file):
        holder = settings
        for name in section:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = with_slash_of(holder[key], folder / holder[key])


def _resolve_ledger(job_file: Path, settings: object) -> None:
    """Make the ledger's path start at the job file's folder, as every other path in it does.

    Raises:
        JobError: it started at the working directory in earlier releases, and one is there: a new one beside the job
            file would not know who was enrolled.
    """
    output = settings.get("output") if isinstance(settings, dict) else None
    name = output.get("ledger") if isinstance(output, dict) else None
    if not isinstance(output, dict) or not isinstance(name, str) or not name or name[0] == "~" or "://" in name:
        return
    beside, here = job_file.absolute().parent / name, Path(name).absolute()
    if here.is_file() and not beside.exists():
        raise JobError(message("job.ledger_elsewhere", path=str(job_file), ledger=name, here=str(here)))
    output["ledger"] = str(beside)
