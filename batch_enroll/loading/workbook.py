"""What all kinds of workbook have in common: cells with a place, a value and perhaps a flaw become rows.

In: the rows of a sheet, cell by cell. Out: rows of text as wide as the header, and what people should hear about them.
Never: an Excel error, a formula without a result or a number with lost digits passed on as if it were a value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from batch_enroll.columns import column_letter, column_title, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.header_detection import HeaderCandidate
from batch_enroll.loading.input_table import BLOCK_ROWS
from batch_enroll.loading.merged_cells import Merges
from batch_enroll.loading.number_formats import (
    Format,
    date_text,
    number_text,
    shows_other,
)
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.models import Problem, Row


class CellProblem(NamedTuple):
    """What makes a cell worthless."""

    column: int
    code: str
    what: str  #: the end of a sentence that begins with the cell: "holds the error #N/A"

    @classmethod
    def error(cls, column: int, shown: str) -> Self:
        """An error value."""
        return cls(column, "excel_error", f"holds the Excel error {shown}")

    @classmethod
    def no_result(cls, column: int) -> Self:
        """A formula that nobody has computed; opening and saving the file in Excel does."""
        what = "is a formula whose result is not stored in the file (open it in Excel and save it)"
        return cls(column, "formula_without_value", what)

    @classmethod
    def digits_lost(cls, column: int, text: str) -> Self:
        """A number longer than a spreadsheet can keep."""
        return cls(column, "digits_lost", f"holds a number of more than 15 digits ({text}): its last digits are lost")

    @classmethod
    def no_date(cls, column: int, value: str) -> Self:
        """A number that no calendar has a day for."""
        return cls(column, "date_out_of_range", f"is formatted as a date but holds {value}")


@dataclass(slots=True)
class SheetRow:
    """One row of a sheet as its reader found it."""

    number: int
    cells: list[str] = field(default_factory=list)  #: from column A on
    flaws: list[CellProblem] = field(default_factory=list)
    otherwise_shown: list[tuple[int, str]] = field(default_factory=list)  #: column, display format if known
    is_hidden: bool = False

    def number_text(self, column: int, value: str, shown: Format, code: str, *, from_1904: bool = False) -> str:
        """Give the text of a stored number; what is wrong with it is noted.

        Args:
            shown: what the display format makes of it.
            code: the display format.
            from_1904: the workbook counts its days from 1904.
        """
        if shown in (Format.DATE, Format.TIME, Format.DATE_TIME, Format.DURATION):
            text = date_text(float(value), shown, from_1904=from_1904)
            if text is None:
                self.flaws.append(CellProblem.no_date(column, value))
            return text or ""
        text, is_lossy = number_text(value)
        if is_lossy:
            self.flaws.append(CellProblem.digits_lost(column, text))
        elif shows_other(shown, text):
            self.otherwise_shown.append((column, code))
        return text


class OpenSheet(Protocol):
    """An opened sheet of any kind of workbook."""

    name: str
    unseen: str  #: what cannot be told of this kind of workbook, "" if nothing

    def rows(self) -> Iterator[SheetRow]:
        """From the top, rows without any cell left out."""
        ...

    def merges(self) -> Merges:
        """Which cells are merged."""
        ...

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        ...


class SheetReader:
    """Rows of one sheet."""

    place = "Row"

    def __init__(self, sheet: OpenSheet, *, kind: str, name: str) -> None:
        self._sheet = sheet
        self._name = name
        self.sheet: str | None = sheet.name
        self.form = f"{kind}, sheet '{sheet.name}'"
        self._all: list[SheetRow] | None = None  # of a short sheet

    def lines(self) -> Iterator[HeaderCandidate]:
        """The rows as they stand, the header among them."""
        seen: list[SheetRow] = []
        for row in self._rows():
            seen.append(row)
            if row.cells:
                yield HeaderCandidate(row.number, row.cells)
        self._all = seen  # whoever read to the end need not walk through a million blank rows again

    def blocks(self, header: HeaderCandidate, remarks: ReaderWarnings) -> Iterator[list[Row]]:
        """The rows below the header."""
        with damage_reported(self._name):
            merges = self._sheet.merges()
            self._remark_hidden_columns(header, remarks)
        if self._sheet.unseen:
            remarks.add(
                "unseen",
                f"In this kind of workbook some things cannot be seen: {self._sheet.unseen}.",
                advice="Save it as .xlsx to have them checked.",
            )
        rows: list[Row] = []
        for sheet_row in self._rows():
            if sheet_row.number <= header.number:
                continue
            if row := _row(sheet_row, header, merges, remarks):
                rows.append(row)
            if len(rows) == BLOCK_ROWS:
                yield rows
                rows = []
        if rows:
            yield rows

    def _rows(self) -> Iterator[SheetRow]:
        with damage_reported(self._name):
            yield from self._sheet.rows() if self._all is None else self._all

    def _remark_hidden_columns(self, header: HeaderCandidate, remarks: ReaderWarnings) -> None:
        hidden = sorted(column for column in self._sheet.hidden_columns() if column < len(header.cells))
        named = [column_title(header.cells, column) for column in hidden if visible(header.cells[column])]
        if named:
            remarks.add("hidden_columns", f"Hidden in the sheet, but read all the same: {', '.join(named)}.")


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """Translate what the libraries, and the values in a workbook, say when it does not follow its format."""
    try:
        yield
    except (
        ParseError,
        BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        OverflowError,
        RuntimeError,
    ) as error:
        raise InputError(
            f"'{name}' is damaged: it cannot be read as the workbook that it begins like ({error}).",
            hint="Open it in a spreadsheet program and save it again as .xlsx or CSV (UTF-8).",
        ) from error


def _row(found: SheetRow, header: HeaderCandidate, merges: Merges, remarks: ReaderWarnings) -> Row | None:
    """Make a row as wide as the header; None when it is blank."""
    width, number = len(header.cells), found.number
    covered = merges.covered(number)
    cells = found.cells[:width] + [""] * (width - len(found.cells))
    problems = []
    for column, code, what in found.flaws:
        if column < width and column not in covered:
            message = f"{column_letter(column)}{number} ({column_title(header.cells, column)}) {what}."
            problems.append(Problem(code=code, message=message, column=column))
    for column in covered:
        if column < width:
            cells[column] = ""
    if not problems and not any(map(visible, cells)):
        return None
    for column, merge in covered.items():
        if column < width:
            message = (
                f"{column_letter(column)}{number} ({column_title(header.cells, column)}) has no value of its own: "
                f"it is part of the merged cell {merge}."
            )
            problems.append(Problem(code="merged_cell", message=message, column=column))
            remarks.add(
                "merged_cells",
                "Some cells are merged; only the first row and column of a merged cell has a value.",
                advice="Unmerge them in the spreadsheet program and fill every cell.",
                row=number,
            )
    _remark(found, header, remarks)
    return Row(number=number, cells=tuple(cells), problems=tuple(problems))


def _remark(found: SheetRow, header: HeaderCandidate, remarks: ReaderWarnings) -> None:
    for column, shown in found.otherwise_shown:
        if column < len(header.cells):
            remarks.add(
                "number_format",
                f"In {column_title(header.cells, column)} the sheet shows numbers in another form"
                f"{shown and f' ({shown})'} than they are stored; what is stored is read.",
                advice="If what the sheet shows is right (leading zeros, for example), format the column as text and "
                "enter the values again, or save as CSV.",
                row=found.number,
            )
    if found.is_hidden:
        remarks.add(
            "hidden_rows",
            "Some rows are hidden in the sheet, by a filter or by hand; they are read all the same.",
            advice="To leave them out, copy the visible rows to a new sheet.",
            row=found.number,
        )
    if any(map(visible, found.cells[len(header.cells) :])):
        remarks.add(
            "cells_without_header",
            "Some rows have values to the right of the last column that has a name; these values are not read.",
            row=found.number,
        )
