"""Choose the sheet of a workbook; a hidden sheet, or one of several, is read only when the job names it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_enroll.column_lookup import name_key
from batch_enroll.errors import InputError, NoSuchSheet
from batch_enroll.messages import Message, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One worksheet; sheets that hold only a chart are not listed."""

    name: str
    is_visible: bool
    part: str = ""  #: its part of the package, if the type of workbook has parts


def choose_sheet(sheets: Sequence[Sheet], *, name: str | None, is_empty: Callable[[Sheet], bool]) -> Sheet:
    """Choose the sheet that the job names, or the only visible one that is not empty.

    Raises:
        NoSuchSheet: there is none of that name.
        InputError: there is none, or several.
    """
    if name is not None:
        return _find_sheet(sheets, name)
    visible = [sheet for sheet in sheets if sheet.is_visible]
    filled = visible if len(visible) == 1 else [sheet for sheet in visible if not is_empty(sheet)]
    if len(filled) == 1:
        return filled[0]
    if filled:
        raise InputError(message("input.several_sheets", count=len(filled), sheets=_names(filled)))
    hidden = [sheet for sheet in sheets if not sheet.is_visible]
    if hidden:
        raise InputError(message("input.only_hidden_sheets", sheets=_names(hidden)))
    raise InputError(message("input.empty_workbook"))


def _find_sheet(sheets: Sequence[Sheet], name: str) -> Sheet:
    same = [sheet for sheet in sheets if sheet.name == name]
    same = same or [sheet for sheet in sheets if name_key(sheet.name) == name_key(name)]
    if len(same) == 1:
        return same[0]
    if nearest := difflib.get_close_matches(name, [sheet.name for sheet in sheets], n=1):
        raise NoSuchSheet(message("input.sheet_misspelled", name=name, nearest=nearest[0], sheets=_names(sheets)))
    raise NoSuchSheet(message("input.sheet_missing", name=name, sheets=_names(sheets)))


def _names(sheets: Sequence[Sheet]) -> tuple[Message, ...]:
    return tuple(
        message("input.sheet", name=sheet.name) if sheet.is_visible else message("input.hidden_sheet", name=sheet.name)
        for sheet in sheets
    )
