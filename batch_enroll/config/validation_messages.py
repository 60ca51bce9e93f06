"""What is wrong with a job, in a person's words: the place, what stands there, and how it is written.

In: what pydantic found in the values of a job. Out: one sentence for each mistake. Never: the value of a setting that
holds a secret, a word of pydantic's that has one of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from batch_enroll.config.job import Job
from batch_enroll.config.settings import REMOVED, KeyPath

_NEEDED = {
    ("url",): 'The address of the platform is missing: give --url or url = "https://…" in the job file.',
    ("scenario",): "The scenario's number is missing: give --scenario (the number after # beside its name).",
    ("match",): "What profiles are matched by is missing: give --match, for example --match email=E-mail.",
    ("match", "mode"): "The matching mode is missing: give --match, for example --match email=E-mail.",
    ("match", "column"): "The matching column is missing: give --match, for example --match email=E-mail.",
}
_SECRETS = {("notify", "urls"), ("notify", "heartbeat")}  # an address may hold a password
_FREE_KEYS = {"content", "codes"}  # tables whose keys are the person's own

_WORDS = {
    "int_parsing": "{value} is no whole number",
    "int_type": "{value} is no whole number",
    "int_from_float": "{value} is no whole number",
    "float_parsing": "{value} is no number",
    "float_type": "{value} is no number",
    "bool_parsing": "{value} is neither true nor false",
    "bool_type": "{value} is neither true nor false",
    "string_type": "{value} is no text; text stands in quotes",
    "path_type": "{value} is no text; text stands in quotes",
    "string_too_short": "nothing stands there",
    "tuple_type": '{value} is no list; write for example ["one", "two"]',
    "model_type": "{value} is no table; its keys stand below [{key}]",
    "enum": "{value} is not known; write {expected}",
    "literal_error": "{value} is not known; write {expected}",
    "greater_than": "{value} is too little; it must be more than {gt:g}",
    "greater_than_equal": "{value} is too little; the least is {ge:g}",
    "less_than_equal": "{value} is too much; the most is {le:g}",
    "string_pattern_mismatch": "{value} is not how it is written; two capital letters, for example RU",
}
"""By pydantic's name of a mistake; what is missing here is said in pydantic's words."""


def mistakes_in(
    found: Iterable[Mapping[str, Any]], values: Mapping[str, Any], *, file_name: str, places: Mapping[KeyPath, str]
) -> list[str]:
    """Give one sentence for each mistake, none twice.

    Args:
        found: pydantic's `errors()`.
        values: what was checked.
        file_name: the job file as the person named it.
        places: where values were given that do not stand in a section of the job file.
    """
    return list(dict.fromkeys(_sentence(detail, values, file_name, places) for detail in found))


def known_keys(path: KeyPath) -> list[str]:
    """The keys that a section may hold; none for a table whose keys are the person's own, or for a value."""
    model: type[BaseModel] = Job
    for name in path:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_key(place: str, path: KeyPath, known: list[str]) -> str:
    """Say that a key was removed, or is not known, with the nearest one that is, or all."""
    if removed := next((setting.removed for setting in REMOVED if setting.path == path), ""):
        return f"{place} {removed}."
    near = next(iter(difflib.get_close_matches(path[-1], known, n=1)), "")
    return f"{place} is no known key. " + (f"Did you mean '{near}'?" if near else f"Known: {', '.join(known)}.")


def _sentence(
    detail: Mapping[str, Any], values: Mapping[str, Any], file_name: str, places: Mapping[KeyPath, str]
) -> str:
    path = _path_of(detail["loc"], values)
    if detail["type"] == "missing" and path in _NEEDED:
        return _NEEDED[path]
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), None)
    if place is None and path:
        *section, key = path
        place = f"{file_name}: {'[' + '.'.join(section) + '] ' if section else ''}{key}".removeprefix(": ")
    if detail["type"] == "extra_forbidden":
        return unknown_key(str(place), path, known_keys(path[:-1]) + (["profile"] if len(path) == 1 else []))
    text = _text(detail, path)
    return f"{place}: {text}." if place else f"{text[:1].upper()}{text[1:]}."


def _path_of(loc: tuple[str | int, ...], values: Mapping[str, Any]) -> KeyPath:
    """Where it stands in the job file: of a list its key alone, of a table of pairs the pair's own key."""
    names = [str(part) for part in loc if isinstance(part, str)]
    if len(loc) > 1 and loc[0] in _FREE_KEYS and isinstance(loc[1], int) and isinstance(values.get(str(loc[0])), dict):
        names.append(str(list(values[str(loc[0])])[loc[1]]))
    return tuple(names)


def _text(detail: Mapping[str, Any], path: KeyPath) -> str:
    message = str(detail["msg"])
    if detail["type"] == "value_error":
        return message.removeprefix("Value error, ")
    words = _WORDS.get(detail["type"], message[:1].lower() + message[1:])
    given = detail["input"]
    value = "what stands there" if path in _SECRETS else f"'{given}'" if isinstance(given, str) else str(given)
    return words.format(**{"value": value, "key": ".".join(path), **detail.get("ctx", {})})
