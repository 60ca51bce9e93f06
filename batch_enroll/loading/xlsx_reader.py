"""Read sheets of .xlsx and .xlsm workbooks as a stream.

pandas with calamine hides errors, formulas without a result, display formats and hidden rows, and openpyxl takes ten
times as long; so the sheet's XML is read here. Tests compare all three cell by cell.
Source: ECMA-376 part 1, section 18.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from batch_enroll.loading.cell_text import Format, value_text
from batch_enroll.loading.merged_cells import Merge, Merges, column_index
from batch_enroll.loading.sheet_rows import CellProblem, SheetRow
from batch_enroll.loading.sheet_selection import Sheet, choose_sheet
from batch_enroll.loading.xlsx_package import Package, rich_text, unescape
from batch_enroll.loading.xml_stream import HeldXml, local_name

_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref\s*=\s*[\"']([A-Za-z0-9:$]+)[\"']")
_SCAN_BYTES = 1 << 20
_LONGEST_MERGE_BYTES = 200
_MAX_COLUMNS = 1 << 14
_TRUE = ("1", "true")


class XlsxSheet:
    """One sheet of an opened package."""

    is_fully_checked = True

    def __init__(self, archive: ZipFile, *, sheet: str | None) -> None:
        self._package = Package(archive)
        self._texts = self._package.texts()
        self._formats = self._package.formats()
        self._columns: dict[str, int] = {}
        self._sheet = choose_sheet(self._package.sheets, name=sheet, is_empty=self._is_empty)
        self.name = self._sheet.name

    def rows(self) -> Iterator[SheetRow]:
        """Iterate over the rows from the top, without blank ones."""
        return self._read_rows(self._sheet)

    def _read_rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        number = 0
        for element in self._row_elements(sheet):
            number = int(element.get("r") or number + 1)
            if len(element):
                row = SheetRow(number, is_hidden=element.get("hidden") in _TRUE)
                self._read_cells(element, row)
                if row.cells or row.problems:
                    yield row

    def merges(self) -> Merges:
        """Get the merged cells; they stand behind the rows, so the bytes are scanned once before the rows are read."""
        found, tail = [], b""
        with self._package.open(self._sheet.part) as file:
            while chunk := file.read(_SCAN_BYTES):
                text = tail + chunk
                end = 0
                for match in _MERGE.finditer(text):
                    end = match.end()
                    if merge := Merge.parse(match[1].decode("ascii")):
                        found.append(merge)
                tail = text[max(end, len(text) - _LONGEST_MERGE_BYTES) :]
        return Merges(found)

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        hidden: set[int] = set()
        for _, element in self._package.elements(self._sheet.part, events=("start",)):
            tag = local_name(element)
            if tag == "sheetData":
                break
            if tag == "col" and element.get("hidden") in _TRUE:
                hidden.update(range(int(element.get("min", "1")) - 1, int(element.get("max", "1"))))
        return hidden

    def _is_empty(self, sheet: Sheet) -> bool:
        return next(self._read_rows(sheet), None) is None

    def _row_elements(self, sheet: Sheet) -> Iterator[Element]:
        """Yield the rows one by one and free each before the next: a million blank ones take no memory."""
        tag, rows, held = "", None, HeldXml()
        for event, element in self._package.elements(sheet.part, events=("start", "end"), held=held):
            if element.tag == tag:
                if event == "end":
                    yield element
                    if rows is not None:
                        rows.clear()
                    held.bytes = 0
            elif rows is None and local_name(element) == "sheetData":
                rows, namespace = element, element.tag.removesuffix("sheetData")
                tag, self._value, self._inline = f"{namespace}row", f"{namespace}v", f"{namespace}is"
                self._formula = f"{namespace}f"

    def _read_cells(self, element: Element, row: SheetRow) -> None:
        cells, texts, column = row.cells, self._texts, -1
        for cell in element:
            reference = cell.get("r")
            column = self._column(reference) if reference else column + 1
            value = cell.findtext(self._value)
            text = texts[int(value)] if value and cell.get("t") == "s" else self._text(cell, value, column, row)
            if text:
                cells.extend([""] * (column + 1 - len(cells)))
                cells[column] = text

    def _column(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        if letters not in self._columns:
            column = column_index(letters)
            if not 0 <= column < _MAX_COLUMNS:
                raise ValueError(f"no cell {reference}")
            self._columns[letters] = column
        return self._columns[letters]

    def _text(self, cell: Element, value: str | None, column: int, row: SheetRow) -> str:
        """Return the text of a cell that is no shared text; its problems are added to the row."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find(self._inline)
            return "" if inline is None else rich_text(inline)
        if kind == "str" and value is not None:
            return unescape(value)
        if (not value or (value == "0" and self._package.recalculates)) and cell.find(self._formula) is not None:
            row.problems.append(CellProblem(column, "formula_without_value"))
            return ""
        if not value:
            return ""
        match kind:
            case "e":
                row.problems.append(CellProblem(column, "excel_error", value))
                return ""
            case "b":
                return "TRUE" if value in _TRUE else "FALSE"
            case "d":
                row.dates.append(column)
                return value_text(datetime.fromisoformat(value))[0]
            case _:
                return self._number(value, int(cell.get("s", "0")), column, row)

    def _number(self, value: str, style: int, column: int, row: SheetRow) -> str:
        shown, code = self._formats[style] if style < len(self._formats) else (Format.PLAIN, "")
        return row.number_text(column, value, shown, code, from_1904=self._package.counts_from_1904)
