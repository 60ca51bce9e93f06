"""Flags, environment and job file become one frozen `Job`.

In: what was given, by source. Out: a `Job` in which every value is checked, or one `JobError` that lists every mistake
with its place. Never: the token (see `secrets.py`), a file other than the job file, a guess.

Precedence: flag > `BATCH_ENROLL_*` variable > profile (see `job_profiles.py`) > job file > default.
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
    Section,
    SendSection,
)
from batch_enroll.config.settings import SETTINGS, KeyPath
from batch_enroll.config.validation_messages import mistakes_in
from batch_enroll.errors import JobError
from batch_enroll.os_errors import translate_os_errors

_S = TypeVar("_S", bound=Section)

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One value with the place where a person wrote it."""

    path: KeyPath
    value: Any
    place: str  #: as the person knows it: `--rate`, `BATCH_ENROLL_RATE`


def read_job_file(path: Path) -> dict[str, Any]:
    """Read the TOML of a job file, profiles and all; paths in it are taken from the job file's own folder.

    Raises:
        JobError: it cannot be read or is not TOML; the message names the line.
    """
    with translate_os_errors(f"The job file {path} cannot be read", to=JobError), path.open("rb") as file:
        written = file.read(_MAX_BYTES + 1)
    try:
        if len(written) > _MAX_BYTES:
            raise JobError(f"{path} is far too long for a job file.", hint="Is it the spreadsheet? That one is INPUT.")
        content = tomllib.loads(written.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise JobError(f"The job file {path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise JobError(
            f"The job file {path} is not valid TOML: {error}.",
            hint='Text needs quotes, for example column = "E-mail".',
        ) from error
    profiles = content.get("profile")
    for settings in (content, *(profiles.values() if isinstance(profiles, dict) else ())):
        _take_paths_from(path.parent, settings)
    return content


def build_job(
    *,
    file: Mapping[str, Any],
    file_name: str,
    given: tuple[SettingValue, ...],
    file_places: Mapping[KeyPath, str] = MappingProxyType({}),
) -> Job:
    """Lay what was given over the job file and check the whole.

    Args:
        file: content of the job file with its profile laid over it, empty when there is none.
        file_name: the job file as the person named it.
        given: values from the environment, then from flags: the later wins.
        file_places: where values stand in the job file that do not stand in its own sections.
    Raises:
        JobError: lists every mistake, each with its place and the nearest right name.
    """
    merged, places = lay_over(file, given)
    return _validated(Job, merged, file_name, {**file_places, **places})


def lay_over(file: Mapping[str, Any], given: tuple[SettingValue, ...]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Lay what was given over the job file, unchecked; gives the whole, and the place of each value given."""
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
    """Who is to be told, out of a job that is wrong elsewhere; None when this is wrong as well."""
    try:
        return NotifySection.model_validate(settings.get("notify", {}))
    except ValidationError:
        return None


def build_input_section(values: Mapping[str, Any]) -> InputSection:
    """Check what a command without a job says about its input; each key is the flag's name.

    Raises:
        JobError: as `build_job`.
    """
    places: dict[KeyPath, str] = {(name,): "--" + name.replace("_", "-") for name in values}
    return _validated(InputSection, values, "", places)


def build_pace(values: Mapping[str, Any]) -> SendSection:
    """Check a pace for a run that goes: `rate`, `concurrency` or both, as a job takes them.

    Raises:
        JobError: as `build_job`.
    """
    return _validated(SendSection, values, "", {(name,): f"--{name}" for name in values})


def _validated(model: type[_S], values: Mapping[str, Any], file_name: str, places: Mapping[KeyPath, str]) -> _S:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise JobError("\n".join(mistakes_in(found, values, file_name=file_name, places=places))) from None


def deep_copy(value: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a table and the tables in it."""
    return {key: deep_copy(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}


def _take_paths_from(folder: Path, settings: object) -> None:
    for *section, key in (setting.path for setting in SETTINGS if setting.is_file):
        holder = settings
        for name in section:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = str(folder / holder[key])
