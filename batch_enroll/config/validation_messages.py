"""Turn pydantic's errors in a job into messages: the place, the value, and how it is written."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from batch_enroll.config.job import Job
from batch_enroll.config.settings import REMOVED, VARIABLE_PREFIX, KeyPath
from batch_enroll.messages import Message, message

_MISSING = {
    ("url",): "job.url_missing",
    ("scenario",): "job.scenario_missing",
    ("match",): "job.match_missing",
    ("match", "mode"): "job.match_mode_missing",
    ("match", "column"): "job.match_column_missing",
}
_SECRETS = {("notify", "urls"), ("notify", "heartbeat")}  # an address may hold a password
_FREE_KEYS = {"content", "codes"}  # tables whose keys are the person's own

_BY_TYPE = {
    "int_parsing": "job.not_an_integer",
    "int_type": "job.not_an_integer",
    "int_from_float": "job.not_an_integer",
    "float_parsing": "job.not_a_number",
    "float_type": "job.not_a_number",
    "bool_parsing": "job.not_a_boolean",
    "bool_type": "job.not_a_boolean",
    "string_type": "job.not_a_text",
    "path_type": "job.not_a_text",
    "string_too_short": "job.empty_text",
    "tuple_type": "job.not_a_list",
    "model_type": "job.not_a_table",
    "enum": "job.not_a_choice",
    "literal_error": "job.not_a_choice",
    "greater_than": "job.too_small",
    "greater_than_equal": "job.below_minimum",
    "less_than_equal": "job.above_maximum",
    "string_pattern_mismatch": "job.not_a_country",
}
"""Messages by pydantic's type of an error; other types are shown in pydantic's words."""


def explain_errors(
    found: Iterable[Mapping[str, Any]], values: Mapping[str, Any], *, file_name: str, places: Mapping[KeyPath, str]
) -> Message:
    """Give one line for each error, none twice.

    Args:
        found: pydantic's `errors()`, at least one.
        values: what was checked.
        file_name: the job file as the person named it.
        places: where values were given that do not stand in a section of the job file.
    """
    return join_messages(_explain(detail, values, file_name, places) for detail in found)


def join_messages(messages: Iterable[Message]) -> Message:
    """Join messages, at least one, to one of several lines; repeated lines are left out."""
    lines: list[Message] = []
    for one in messages:
        if one not in lines:
            lines.append(one)
    return functools.reduce(lambda first, second: message("job.lines", first=first, second=second), lines)


def known_keys(path: KeyPath) -> list[str]:
    """The keys that a section may hold; none for a table whose keys are the person's own, or for a value."""
    model: type[BaseModel] = Job
    for name in path:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_key(place: str, path: KeyPath, known: list[str]) -> Message:
    """Say that a key was removed, or is not known, with the nearest one that is, or all."""
    if removed := next((setting.removed for setting in REMOVED if setting.path == path), ""):
        return Message(removed, {"place": place})
    if near := difflib.get_close_matches(path[-1], known, n=1):
        return message("job.unknown_key_near", place=place, near=near[0])
    return message("job.unknown_key", place=place, known=tuple(known))


def unknown_variable(name: str, known: Iterable[str]) -> Message:
    """Say that a variable is not known, with the nearest one that is."""
    names = [one.removeprefix(VARIABLE_PREFIX) for one in known]
    if near := difflib.get_close_matches(name.removeprefix(VARIABLE_PREFIX), names, n=1):
        return message("job.unknown_variable_near", place=name, near=VARIABLE_PREFIX + near[0])
    return message("job.unknown_variable", place=name)


def _explain(
    detail: Mapping[str, Any], values: Mapping[str, Any], file_name: str, places: Mapping[KeyPath, str]
) -> Message:
    path = _path_of(detail["loc"], values)
    if detail["type"] == "missing" and path in _MISSING:
        return Message(_MISSING[path])
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), "")
    if not place and path:
        *section, key = path
        place = f"{file_name}: {'[' + '.'.join(section) + '] ' if section else ''}{key}".removeprefix(": ")
    if detail["type"] == "extra_forbidden":
        return unknown_key(place, path, known_keys(path[:-1]) + (["profile"] if len(path) == 1 else []))
    problem = _problem(detail, path)
    return message("job.problem_at", place=place, problem=problem) if place else message("job.problem", problem=problem)


def _path_of(loc: tuple[str | int, ...], values: Mapping[str, Any]) -> KeyPath:
    """Give the place in the job file: of a list the list's key, of a table of pairs the pair's own key."""
    names = [str(part) for part in loc if isinstance(part, str)]
    if len(loc) > 1 and loc[0] in _FREE_KEYS and isinstance(loc[1], int) and isinstance(values.get(str(loc[0])), dict):
        names.append(str(list(values[str(loc[0])])[loc[1]]))
    return tuple(names)


def _problem(detail: Mapping[str, Any], path: KeyPath) -> Message:
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":  # raised by a validator of ours, with a message
        said = context["error"].args[0]
        return said if isinstance(said, Message) else message("verbatim", text=str(said))
    if detail["type"] not in _BY_TYPE:
        text = str(detail["msg"])
        return message("verbatim", text=text[:1].lower() + text[1:])
    given = detail["input"]
    value: Message | str = f"'{given}'" if isinstance(given, str) else str(given)
    if path in _SECRETS:
        value = message("job.hidden_value")
    shown = {name: context[name] for name in ("gt", "ge", "le", "expected") if name in context}
    return Message(_BY_TYPE[detail["type"]], {"value": value, "key": ".".join(path), **shown})
