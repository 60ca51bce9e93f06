"""Which row holds the names of the columns.

In: the first rows of a table, and the names that the job uses. Out: the header row. Never: a row of data taken for a
header, or a header that is not in the first row taken without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median_low
from typing import NamedTuple

from batch_enroll.columns import (
    find_column,
    list_columns,
    name_key,
    visible,
)
from batch_enroll.errors import InputError
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.result_columns import unguard

HEAD_ROWS = 50  #: how far down a header is looked for

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.\w+")
_NUMBER = re.compile(r"[+-]?[\d\s().,:/-]*\d[\d\s().,:/-]*%?")  # numbers, phones, dates, times
_YEAR = re.compile(r"(19|20)\d\d")  # is the name of many a column
_LONG_NUMBER_DIGITS = 10  # as long as a phone or an id, and no name of a column


class HeaderCandidate(NamedTuple):
    """One row as it stands in the file, before anyone knows the header."""

    number: int  #: as people count
    cells: Sequence[str]

    @property
    def filled(self) -> int:
        """How many cells hold anything."""
        return sum(1 for cell in self.cells if visible(cell))


def find_header(
    head: Sequence[HeaderCandidate],
    *,
    wanted: Sequence[str],
    header_row: int | None,
    remarks: ReaderWarnings,
    place: str,
) -> HeaderCandidate:
    """Choose the header among the first rows.

    Args:
        head: the first rows, `HEAD_ROWS` or as many as reach to `header_row`.
        wanted: names of columns that the job uses; none when they are not known yet.
        header_row: the row that a person named, if any.
        remarks: hears of a header that is not in the first row.
        place: what a row is called in this kind of file, "Row" or "Line".
    Raises:
        InputError: there is no header, or none that can be taken without asking.
    """
    filled = [line for line in head if line.filled]
    if header_row is not None:
        for line in filled:
            if line.number == header_row:
                return line
        raise InputError(f"{place} {header_row}, named as the header, is empty.", hint=_first_rows(filled, place))
    if not filled:
        raise InputError("The file has no rows.", hint="Check that the right file was chosen.")
    first, header = filled[0], likely_header(filled, wanted)
    missing = [name for name in wanted if name_key(name) not in _keys(header)]
    is_sure = bool(wanted) and not missing and header is first
    if not is_sure and (data := looks_like_data(header.cells)):
        lacking = f"There is no column '{missing[0]}'. " if missing else ""
        raise InputError(
            f"{lacking}{place} {header.number} looks like data ('{data}'), so the file seems to have no header.",
            hint="Put a first row with the names of the columns above it, or name the header's row with --header-row.",
        )
    if not missing and not all(_may_be_title(line, header) for line in _above(header, filled)):
        lacking = next((name for name in wanted if name_key(name) not in _keys(first)), "")
        raise InputError(
            f"{place} {first.number} has no column '{lacking}', but {place.lower()} {header.number} has: "
            f"it looks like the header.",
            hint=f"If it is, say so with --header-row {header.number}.",
        )
    for name in missing:
        find_column(header.cells, name)  # raises, with the nearest name
    if header is not first:
        remarks.add(
            "header_found",
            f"The header was found in {place.lower()} {header.number}; the rows above it are not read.",
            advice=f"If another row is the header, name it with --header-row. Its columns: "
            f"{list_columns(header.cells)}.",
        )
    return header


def looks_like_data(cells: Sequence[str]) -> str:
    """Give the cell because of which a row cannot be a header: an address, a long number; else ""."""
    values = [value for cell in cells if (value := visible(cell))]
    numbers = [value for value in values if _NUMBER.fullmatch(value) and not _YEAR.fullmatch(value)]
    for value in values:
        if _EMAIL.fullmatch(value):
            return value
    for value in numbers:
        if sum(map(str.isdigit, value)) >= _LONG_NUMBER_DIGITS:
            return value
    return numbers[0] if numbers and len(numbers) * 2 >= len(values) else ""


def likely_header(filled: Sequence[HeaderCandidate], wanted: Sequence[str]) -> HeaderCandidate:
    """Give the row most like a header: with the most of the wanted names, else the first that is no title."""
    best = max(filled, key=lambda line: names_found(line, wanted))  # the first of the best
    if names_found(best, wanted):
        return best
    typical = median_low(line.filled for line in filled)
    return next(line for line in filled if line.filled * 2 > typical)


def names_found(line: HeaderCandidate, wanted: Sequence[str]) -> int:
    """Count the wanted names that a row holds."""
    return len({name_key(name) for name in wanted} & _keys(line))


def _keys(line: HeaderCandidate) -> set[str]:
    return {name_key(form) for cell in line.cells for form in (cell, unguard(cell))}  # unguard: our own results


def _may_be_title(line: HeaderCandidate, header: HeaderCandidate) -> bool:
    return line.filled < header.filled and "@" not in looks_like_data(line.cells)


def _above(header: HeaderCandidate, filled: Sequence[HeaderCandidate]) -> list[HeaderCandidate]:
    return [line for line in filled if line.number < header.number]


def _first_rows(filled: Sequence[HeaderCandidate], place: str) -> str:
    return "".join(
        f"{place} {line.number} holds {list_columns([cell for cell in line.cells if cell][:5])}. "
        for line in filled[:3]
    ).strip()
