"""Find the row with the names of the columns; a notice is given when it is not the first one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median_low
from typing import Literal, NamedTuple

from batch_enroll.column_lookup import find_column, list_columns, name_key, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.messages import Message, cell_text, message
from batch_enroll.result_columns import unguard

HEAD_ROWS = 50  #: how far down a header is looked for
Place = Literal["row", "line"]
"""What a row number counts: rows of a sheet, or lines of a text file."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.\w+")
_NUMBER = re.compile(r"[+-]?[\d\s().,:/-]*\d[\d\s().,:/-]*%?")  # numbers, phones, dates, times
_YEAR = re.compile(r"(19|20)\d\d")  # is the name of many a column
_LONG_NUMBER_DIGITS = 10  # as long as a phone or an id, and no name of a column


class HeaderCandidate(NamedTuple):
    """One row as stored, while the header is not known yet."""

    number: int  #: the first is 1
    cells: Sequence[str]

    @property
    def filled(self) -> int:
        """How many cells are not blank."""
        return sum(1 for cell in self.cells if visible(cell))


def find_header(
    head: Sequence[HeaderCandidate],
    *,
    wanted: Sequence[str],
    header_row: int | None,
    warnings: ReaderWarnings,
    place: Place,
) -> HeaderCandidate:
    """Choose the header among the first rows.

    Args:
        head: the first rows, `HEAD_ROWS` or as many as reach to `header_row`.
        wanted: names of columns that the job uses; none when they are not known yet.
        header_row: the row that the job names, if any.
        warnings: gets a notice when the header is not in the first row.
        place: what row numbers count in this type of file.
    Raises:
        InputError: there is no header, or none that is certain.
    """
    filled = [line for line in head if line.filled]
    if header_row is not None:
        for line in filled:
            if line.number == header_row:
                return line
        first_rows = tuple(
            message(
                "input.row_content",
                place=location(place, line.number),
                cells=tuple(cell_text(f"'{text}'") for text in [*filter(None, map(visible, line.cells))][:5]),
            )
            for line in filled[:3]
        )
        where = location(place, header_row, capital=True)
        if first_rows:
            raise InputError(message("input.header_empty", place=where, rows=first_rows))
        raise InputError(message("input.no_rows"))
    if not filled:
        raise InputError(message("input.no_rows"))
    first, header = filled[0], likely_header(filled, wanted)
    missing = [name for name in wanted if name_key(name) not in _keys(header)]
    is_sure = bool(wanted) and not missing and header is first
    if not is_sure and (data := looks_like_data(header.cells)):
        where = location(place, header.number, capital=True)
        if missing:
            raise InputError(
                message("input.no_header_for_column", column=missing[0], place=where, value=cell_text(data))
            )
        raise InputError(message("input.no_header", place=where, value=cell_text(data)))
    if not missing and not all(_may_be_title(line, header) for line in _above(header, filled)):
        lacking = next((name for name in wanted if name_key(name) not in _keys(first)), "")
        raise InputError(
            message(
                "input.header_further_down",
                first=location(place, first.number, capital=True),
                column=lacking,
                header=location(place, header.number),
                number=header.number,
            )
        )
    for name in missing:
        find_column(header.cells, name)  # raises, with the nearest name
    if header is not first:
        warnings.add(
            "header_found",
            message("input.header_found", place=location(place, header.number), columns=list_columns(header.cells)),
        )
    return header


def location(place: Place, number: int, *, capital: bool = False) -> Message:
    """Name a row: `line 4`, or `Line 4` at the beginning of a sentence."""
    return Message(f"input.{'at' if capital else 'in'}_{place}", {"number": number})


def looks_like_data(cells: Sequence[str]) -> str:
    """Return the cell that no header has (an address, a long number), or ""."""
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
    """Return the row with the most wanted names, else the first that is no title."""
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
