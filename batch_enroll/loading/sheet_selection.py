"""Which sheet of a workbook is read.

In: the sheets with what is known of them. Out: one. Never: a hidden sheet by itself, or the first of several without
asking.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_enroll.columns import name_key
from batch_enroll.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One worksheet; sheets that hold only a chart are none."""

    name: str
    is_visible: bool
    part: str = ""  #: where it is stored, if the kind of workbook has such places


def choose_sheet(sheets: Sequence[Sheet], *, name: str | None, is_empty: Callable[[Sheet], bool]) -> Sheet:
    """Choose the sheet that a person named, or the only visible one that holds anything.

    Raises:
        InputError: there is none, or several.
    """
    if name is not None:
        return _named(sheets, name)
    visible = [sheet for sheet in sheets if sheet.is_visible]
    filled = visible if len(visible) == 1 else [sheet for sheet in visible if not is_empty(sheet)]
    if len(filled) == 1:
        return filled[0]
    if filled:
        raise InputError(
            f"The workbook has {len(filled)} sheets: {_names(filled)}.", hint="Name the one to read with --sheet."
        )
    hidden = [sheet for sheet in sheets if not sheet.is_visible]
    if hidden:
        raise InputError(
            f"Every sheet that can be seen is empty; the workbook has hidden sheets: {_names(hidden)}.",
            hint="If one of them is meant, name it with --sheet.",
        )
    raise InputError("The workbook is empty: no sheet holds anything.", hint="Check that the right file was chosen.")


def _named(sheets: Sequence[Sheet], name: str) -> Sheet:
    same = [sheet for sheet in sheets if sheet.name == name]
    same = same or [sheet for sheet in sheets if name_key(sheet.name) == name_key(name)]
    if len(same) == 1:
        return same[0]
    nearest = difflib.get_close_matches(name, [sheet.name for sheet in sheets], n=1)
    question = f"Did you mean '{nearest[0]}'? " if nearest else ""
    raise InputError(f"There is no sheet '{name}'.", hint=f"{question}The sheets are: {_names(sheets)}.")


def _names(sheets: Sequence[Sheet]) -> str:
    return ", ".join(f"'{sheet.name}'{'' if sheet.is_visible else ' (hidden)'}" for sheet in sheets)
