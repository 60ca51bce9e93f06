"""Profiles of settings: one job file for several surroundings, `[profile.prod]` beside `[profile.test]`.

In: the content of a job file and the profile's name. Out: the settings with the profile laid over them, and where each
of its values stands; the JSON Schema of the whole file. Never: the value of a setting (`job_file` checks that).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from batch_enroll.config.job import Job
from batch_enroll.config.load import deep_copy
from batch_enroll.config.settings import KeyPath
from batch_enroll.config.validation_messages import known_keys, unknown_key
from batch_enroll.errors import JobError

PROFILE_KEY = "profile"


def choose_profile(
    content: Mapping[str, Any], name: str | None, *, file_name: str, place: str = "--profile"
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Lay one profile of a job file over the rest of it.

    Tables are merged key by key; a `[match]` that names its mode takes the place of the whole `[match]`. Every profile
    is looked through for unknown keys, not only the chosen one: a slip shows today and not on the night it is used.

    Args:
        content: the job file, as `read_job_file` gives it.
        name: of the profile; None for none.
        file_name: the job file as the person named it.
        place: where the name was given.
    Returns:
        The settings without their profiles, and the place of each value that the profile gave.
    Raises:
        JobError: there is no such profile, it is no table, or a key in one of them is not known.
    """
    settings = deep_copy(content)
    profiles = settings.pop(PROFILE_KEY, {})
    if not isinstance(profiles, dict):
        raise JobError(
            f"{file_name}: {PROFILE_KEY} is no table.", hint="Write for example [profile.prod] above the keys."
        )
    mistakes = [mistake for title, profile in profiles.items() for mistake in _mistakes(title, profile, file_name)]
    if mistakes:
        raise JobError("\n".join(mistakes))
    if name is None:
        return settings, {}
    if name not in profiles:
        raise JobError(f"{place}: {file_name} has no profile '{name}'.", hint=_nearest(name, list(profiles)))
    _lay_over(settings, profiles[name])
    places = {
        path: f"{file_name}: [{'.'.join((PROFILE_KEY, name, *path[:-1]))}] {path[-1]}"
        for path in _leaves(profiles[name])
    }
    return settings, places


def job_schema() -> dict[str, Any]:
    """Give the JSON Schema of a job file: the job's own, and the same keys once more, none required, in a profile."""
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
        "description": "Settings for one surrounding, laid over the others when --profile names it.",
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


def _mistakes(title: str, profile: Any, file_name: str) -> Iterator[str]:
    if not isinstance(profile, dict):
        yield f"{file_name}: [{PROFILE_KEY}] {title} is no table; write its keys below [{PROFILE_KEY}.{title}]."
        return
    for path in _leaves(profile):
        for depth, key in enumerate(path):
            known = known_keys(path[:depth])
            if known and key not in known:
                where = ".".join((PROFILE_KEY, title, *path[:depth]))
                yield unknown_key(f"{file_name}: [{where}] {key}", path[: depth + 1], known)
                break


def _lay_over(settings: dict[str, Any], profile: Mapping[str, Any]) -> None:
    for key, value in profile.items():
        below = settings.get(key)
        whole = key == "match" and isinstance(value, dict) and "mode" in value
        if isinstance(value, dict) and isinstance(below, dict) and not whole:
            _lay_over(below, value)
        else:
            settings[key] = deep_copy(value) if isinstance(value, dict) else value


def _leaves(table: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _nearest(name: str, names: list[str]) -> str:
    if not names:
        return "Add one to the job file: [profile.prod], and below it the keys that differ."
    near = next(iter(difflib.get_close_matches(name, names, n=1)), "")
    return f"Did you mean '{near}'?" if near else f"There are: {', '.join(names)}."
