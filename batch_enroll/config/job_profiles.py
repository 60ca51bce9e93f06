"""Profiles: one job file for several environments, `[profile.prod]` beside `[profile.test]`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batch_enroll.config.job import Job
from batch_enroll.config.load import build_job, deep_copy, read_job_file
from batch_enroll.config.settings import KeyPath
from batch_enroll.config.validation_messages import join_messages, known_keys, unknown_key
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message

PROFILE_KEY = "profile"


def choose_profile(
    content: Mapping[str, Any], name: str | None, *, file_name: str, place: str = "--profile"
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Merge one profile of a job file into the rest of it.

    Tables are merged key by key; a `[match]` that names its mode replaces the whole `[match]`. Every profile is checked
    for unknown keys, not only the chosen one, so that a typing error shows before the night on which it is used.

    Args:
        content: the job file, as `read_job_file` gives it.
        name: of the profile; None for none.
        file_name: the job file as the person named it.
        place: where the name was given.
    Returns:
        The settings without their profiles, and the place of each value that the profile gave.
    Raises:
        JobError: there is no such profile, it is not a table, or a key in one of them is not known.
    """
    settings = deep_copy(content)
    profiles = settings.pop(PROFILE_KEY, {})
    if not isinstance(profiles, dict):
        raise JobError(message("job.profile_no_table", file=file_name))
    mistakes = [mistake for title, profile in profiles.items() for mistake in _mistakes(title, profile, file_name)]
    if mistakes:
        raise JobError(join_messages(mistakes))
    if name is None:
        return settings, {}
    if name not in profiles:
        raise JobError(
            message("job.no_such_profile", place=place, file=file_name, name=name), hint=_nearest(name, list(profiles))
        )
    _merge(settings, profiles[name])
    places = {
        path: f"{file_name}: [{'.'.join((PROFILE_KEY, name, *path[:-1]))}] {path[-1]}"
        for path in _leaves(profiles[name])
    }
    return settings, places


def load_job(path: Path | str, *, profile: str | None = None) -> Job:
    """Read a job file; variables and flags are not looked at.

    Args:
        path: the job file; relative paths in it start at its folder.
        profile: laid over the rest of the file; None for none.
    Raises:
        JobError: it cannot be read, or lists every mistake in it, each with its place.
    """
    name = str(path)
    settings, places = choose_profile(read_job_file(Path(path)), profile, file_name=name, place="profile")
    return build_job(file={"name": Path(path).stem, **settings}, file_name=name, file_places=places, given=())


def job_schema() -> dict[str, Any]:
    """Build the JSON Schema of a job file: the keys of a job, and the same keys, none required, in a profile."""
    schema = Job.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    properties = {}
    for key, value in schema["properties"].items():
        section = str(value.get("$ref", "")).rpartition("/")[2]
        if "required" in definitions.get(section, {}):
            partial = f"{section}OfProfile"
            definitions[partial] = {name: part for name, part in definitions[section].items() if name != "required"}
            value = {**value, "$ref": f"#/$defs/{partial}"}
        properties[key] = {name: part for name, part in value.items() if name != "default"}
    definitions["Profile"] = {
        "title": "Profile",
        "description": "Settings for one environment; they replace the others when --profile names it.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    schema["properties"][PROFILE_KEY] = {
        "description": "Profiles by name, chosen with --profile or BATCH_ENROLL_PROFILE.",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Profile"},
    }
    return schema


def _mistakes(title: str, profile: Any, file_name: str) -> Iterator[Message]:
    if not isinstance(profile, dict):
        yield message("job.profile_no_keys", file=file_name, name=title)
        return
    for path in _leaves(profile):
        for depth, key in enumerate(path):
            known = known_keys(path[:depth])
            if known and key not in known:
                where = ".".join((PROFILE_KEY, title, *path[:depth]))
                yield unknown_key(f"{file_name}: [{where}] {key}", path[: depth + 1], known)
                break


def _merge(settings: dict[str, Any], profile: Mapping[str, Any]) -> None:
    for key, value in profile.items():
        below = settings.get(key)
        whole = key == "match" and isinstance(value, dict) and "mode" in value
        if isinstance(value, dict) and isinstance(below, dict) and not whole:
            _merge(below, value)
        else:
            settings[key] = deep_copy(value) if isinstance(value, dict) else value


def _leaves(table: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _nearest(name: str, names: list[str]) -> Message:
    if not names:
        return message("job.add_a_profile")
    near = next(iter(difflib.get_close_matches(name, names, n=1)), "")
    return message("job.did_you_mean", near=near) if near else message("job.profiles_are", names=tuple(names))
