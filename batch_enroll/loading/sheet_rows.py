"""Convert the rows of a sheet, of any type of workbook, to rows of text as wide as the header.

An Excel error, a formula without a result or a number with lost digits becomes a problem, never a value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from batch_enroll.column_lookup import column_letter, column_title, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.cell_text import Format, date_text, number_text, shown_id, shows_other
from batch_enroll.loading.file_type import FileType
from batch_enroll.loading.header_detection import HeaderCandidate, Place
from batch_enroll.loading.input_table import BLOCK_ROWS
from batch_enroll.loading.merged_cells import Merges
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.loading.repeated_header import RepeatedHeaders
from batch_enroll.messages import Message, message
from batch_enroll.models import XLSX_CELL_CHARS, Problem, Row


class CellProblem(NamedTuple):
    """Why the value of a cell cannot be used.

    Codes: `excel_error`; `formula_without_value`, which opening and saving the file in Excel corrects; `digits_lost`,
    a number longer than a spreadsheet can store; `date_out_of_range`.
    """

    column: int
    code: str  #: "cell.CODE" is the id of its message
    detail: str = ""  #: the error, or the stored value


@dataclass(slots=True)
class SheetRow:
    """One row of a sheet as stored."""

    number: int
    cells: list[str] = field(default_factory=list)  #: from column A on
    problems: list[CellProblem] = field(default_factory=list)
    #: column, display format if known, and how the sheet shows the number if that may be another id
    otherwise_shown: list[tuple[int, str, str]] = field(default_factory=list)
    dates: list[int] = field(default_factory=list)  #: columns of dates, times and durations
    is_hidden: bool = False

    def number_text(self, column: int, value: str, shown: Format, code: str, *, from_1904: bool = False) -> str:
        """Return the text of a stored number; its problems are added to the row.

        Args:
            shown: the kind of display format.
            code: the display format itself.
            from_1904: the workbook counts its days from 1904.
        """
        if shown in (Format.DATE, Format.TIME, Format.DATE_TIME, Format.DURATION):
            text = date_text(float(value), shown, from_1904=from_1904)
            self.dates.append(column)
            if text is None:
                self.problems.append(CellProblem(column, "date_out_of_range", value))
            return text or ""
        text, is_lossy = number_text(value)
        if is_lossy:
            self.problems.append(CellProblem(column, "digits_lost", text))
        elif shows_other(shown, text):
            self.otherwise_shown.append((column, code, shown_id(text, code)))
        return text


class OpenSheet(Protocol):
    """An opened sheet of any type of workbook."""

    name: str
    is_fully_checked: bool  #: False: errors, hidden rows and number formats of this type cannot be seen

    def rows(self) -> Iterator[SheetRow]:
        """Iterate over the rows from the top, without blank ones."""
        ...

    def merges(self) -> Merges:
        """Get the merged cells."""
        ...

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        ...


class SheetReader:
    """Rows of one sheet."""

    place: Place = "row"
    may_be_damaged = True

    def __init__(self, sheet: OpenSheet, *, kind: FileType, name: str) -> None:
        self._sheet = sheet
        self._name = name
        self.sheet: str | None = sheet.name
        self.form = message("input.workbook_form", type=message(f"input.type_{kind}"), sheet=sheet.name)
        self._all: list[SheetRow] | None = None  # of a short sheet

    def lines(self) -> Iterator[HeaderCandidate]:
        """Iterate over the rows as stored, the header included."""
        seen: list[SheetRow] = []
        for row in self._rows():
            seen.append(row)
            if row.cells:
                yield HeaderCandidate(row.number, row.cells)
        self._all = seen  # the sheet was read to its end: a million blank rows are not parsed again

    def blocks(self, header: HeaderCandidate, warnings: ReaderWarnings) -> Iterator[list[Row]]:
        """Iterate over the rows below the header."""
        with translate_damage(self._name):
            merges = self._sheet.merges()
            self._add_hidden_columns(header, warnings)
        if not self._sheet.is_fully_checked:
            warnings.add("unseen", message("input.unseen"))
        headers = RepeatedHeaders(header, matching=warnings.matching, place=self.place)
        rows: list[Row] = []
        for sheet_row in self._rows():
            if sheet_row.number <= header.number:
                continue
            if row := _build_row(sheet_row, header, merges, warnings):
                if problem := headers.check(row.number, row.cells):
                    row = row._replace(problems=(problem, *row.problems))
                rows.append(row)
            if len(rows) == BLOCK_ROWS:
                yield rows
                rows = []
        if rows:
            yield rows

    def _rows(self) -> Iterator[SheetRow]:
        with translate_damage(self._name):
            yield from self._sheet.rows() if self._all is None else self._all

    def _add_hidden_columns(self, header: HeaderCandidate, warnings: ReaderWarnings) -> None:
        hidden = sorted(
            column for column in self._sheet.hidden_columns() if column < len(header.cells) and warnings.is_used(column)
        )
        named = tuple(column_title(header.cells, column) for column in hidden if visible(header.cells[column]))
        if named:
            warnings.add("hidden_columns", message("input.hidden_columns", columns=named))


@contextmanager
def translate_damage(name: str) -> Iterator[None]:
    """Translate the exceptions that a workbook raises when it does not follow its format."""
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
        raise InputError(message("input.workbook_damaged", name=name, error=str(error))) from error


def _build_row(found: SheetRow, header: HeaderCandidate, merges: Merges, warnings: ReaderWarnings) -> Row | None:
    """Build a row as wide as the header; None when it is blank."""
    width, number = len(header.cells), found.number
    covered = merges.covered(number)
    cells = found.cells[:width] + [""] * (width - len(found.cells))
    problems = []
    for column, code, detail in found.problems:
        if column < width and column not in covered:
            values = {**_cell(number, column, header), "detail": detail}
            problems.append(Problem(code=code, message=Message(f"cell.{code}", values), column=column))
    problems += _matching_problems(found, cells, header, warnings.matching)
    for column in covered:
        if column < width:
            cells[column] = ""
    if not problems and not any(map(visible, cells)):
        return None
    merged = {column: merge for column, merge in covered.items() if column < width}
    for column, merge in merged.items():
        why = message("cell.merged_cell", **_cell(number, column, header), merge=str(merge))
        problems.append(Problem(code="merged_cell", message=why, column=column))
    if sum(map(len, cells)) > XLSX_CELL_CHARS:
        for column in (column for column, text in enumerate(cells) if len(text) > XLSX_CELL_CHARS):
            why = message("cell.too_long", **_cell(number, column, header), count=XLSX_CELL_CHARS)
            problems.append(Problem(code="cell_too_long", message=why, column=column))
            cells[column] = cells[column][:XLSX_CELL_CHARS]
    warnings.add("merged_cells", message("input.merged_cells"), row=number, columns=merged)
    _add_notices(found, header, warnings)
    return Row(number=number, cells=tuple(cells), problems=tuple(problems))


def _matching_problems(
    found: SheetRow, cells: list[str], header: HeaderCandidate, matching: int | None
) -> Iterator[Problem]:
    """Refuse what a spreadsheet made of an id: a date, or a number that the sheet shows as another id."""
    if matching is None or matching >= len(cells) or any(problem.column == matching for problem in found.problems):
        return
    where = _cell(found.number, matching, header)
    if matching in found.dates:
        yield Problem(
            code="date_cell", message=message("cell.date_cell", **where, value=cells[matching]), column=matching
        )
    for column, _, shown in found.otherwise_shown:
        if column == matching and shown:
            why = message("cell.number_shown_otherwise", **where, value=cells[matching], shown=shown)
            yield Problem(code="number_shown_otherwise", message=why, column=matching)


def _cell(number: int, column: int, header: HeaderCandidate) -> dict[str, Any]:
    return {"cell": f"{column_letter(column)}{number}", "column": column_title(header.cells, column)}


def _add_notices(found: SheetRow, header: HeaderCandidate, warnings: ReaderWarnings) -> None:
    for column, shown, other in found.otherwise_shown:
        if column < len(header.cells) and not (other and column == warnings.matching):
            warnings.add(
                "number_format",
                message("input.number_format", column=column_title(header.cells, column), form=shown and f" ({shown})"),
                row=found.number,
                columns=(column,),
            )
    if found.is_hidden:
        warnings.add("hidden_rows", message("input.hidden_rows"), row=found.number)
    if any(map(visible, found.cells[len(header.cells) :])):
        warnings.add("cells_without_header", message("input.cells_without_header"), row=found.number)
