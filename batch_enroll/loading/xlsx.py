"""Sheets of .xlsx and .xlsm, read as a stream.

In: the zip file. Out: each cell's text as a person reads it, or what is wrong with it. Never: the whole sheet in memory.

pandas, by way of calamine, hides what people must hear of (errors, formulas without a result, display formats, hidden
rows), and openpyxl takes ten times as long; so the sheet's XML is read here. Tests compare all three cell by cell.
Source: ECMA-376 part 1, section 18.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from batch_enroll.loading.cells import Format, date_text, number_text, value_text
from batch_enroll.loading.markup import local_name
from batch_enroll.loading.merges import Merge, Merges, column_index
from batch_enroll.loading.ooxml import Package, rich_text, unescape
from batch_enroll.loading.sheets import Sheet, choose_sheet
from batch_enroll.loading.workbook import SheetRow

_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref\s*=\s*[\"']([A-Za-z0-9:$]+)[\"']")
_SCAN_BYTES = 1 << 20
_LONGEST_MERGE_BYTES = 200
_BLANK = frozenset(["", "0"])


class XlsxSheet:
    """One sheet of an opened package."""

    def __init__(self, archive: ZipFile, *, sheet: str | None) -> None:
        self._package = Package(archive)
        self._sheet = choose_sheet(self._package.sheets, name=sheet, is_empty=self._is_empty)
        self.name = self._sheet.name
        self._texts = self._package.texts()
        self._formats = self._package.formats()
        self._columns: dict[str, int] = {}

    def rows(self) -> Iterator[SheetRow]:
        """From the top, rows without any cell left out."""
        number = 0
        for element in self._row_elements(self._sheet):
            number = int(element.get("r") or number + 1)
            if len(element):
                row = SheetRow(number, is_hidden=element.get("hidden") in ("1", "true"))
                self._read_cells(element, row)
                if row.cells or row.flaws:
                    yield row

    def merges(self) -> Merges:
        """Which cells are merged: it stands behind the rows, so the bytes are looked through once before."""
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
            if tag == "col" and element.get("hidden") in ("1", "true"):
                hidden.update(range(int(element.get("min", "1")) - 1, int(element.get("max", "1"))))
        return hidden

    def _is_empty(self, sheet: Sheet) -> bool:
        return not any(
            (element.find("{*}v") is not None or element.find("{*}is") is not None or element.find("{*}f") is not None)
            for row in self._row_elements(sheet)
            for element in row
        )

    def _row_elements(self, sheet: Sheet) -> Iterator[Element]:
        rows: Element | None = None
        for event, element in self._package.elements(sheet.part, events=("start", "end")):
            if event == "end":
                if element.tag.endswith("}row"):
                    yield element
                    if rows is not None:
                        rows.clear()
            elif rows is None and element.tag.endswith("}sheetData"):
                rows = element

    def _read_cells(self, element: Element, row: SheetRow) -> None:
        cells, column = row.cells, -1
        for cell in element:
            reference = cell.get("r")
            column = self._column(reference) if reference else column + 1
            text = self._text(cell, column, row)
            if text:
                cells.extend([""] * (column + 1 - len(cells)))
                cells[column] = text

    def _column(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        if letters not in self._columns:
            self._columns[letters] = column_index(letters)
        return self._columns[letters]

    def _text(self, cell: Element, column: int, row: SheetRow) -> str:
        """Give a cell's text; what is wrong with it goes to the row."""
        value: str | None = None
        has_formula = False
        for child in cell:
            tag = child.tag
            if tag.endswith("}v"):
                value = child.text or ""
            elif tag.endswith("}f"):
                has_formula = True
            elif tag.endswith("}is"):
                return rich_text(child)
        kind = cell.get("t", "n")
        if value and kind == "s":
            return self._texts[int(value)]
        if kind == "str" and value is not None:
            return unescape(value)
        if has_formula and (not value or (value == "0" and self._package.recalculates)):
            row.flaws.append((column, "formula_without_value", "is a formula whose result is not stored in the file"))
            return ""
        if not value:
            return ""
        match kind:
            case "e":
                row.flaws.append((column, "excel_error", f"holds the Excel error {value}"))
                return ""
            case "b":
                return "TRUE" if value in ("1", "true") else "FALSE"
            case "d":
                return value_text(datetime.fromisoformat(value))[0]
            case _:
                return self._number(value, int(cell.get("s", "0")), column, row)

    def _number(self, value: str, style: int, column: int, row: SheetRow) -> str:
        shown, code = self._formats[style] if style < len(self._formats) else (Format.PLAIN, "")
        if shown in (Format.DATE, Format.TIME, Format.DATE_TIME, Format.DURATION):
            text = date_text(float(value), shown, from_1904=self._package.counts_from_1904)
            if text is None:
                row.flaws.append((column, "date_out_of_range", f"is formatted as a date but holds {value}"))
            return text or ""
        text, is_lossy = number_text(value)
        if is_lossy:
            row.flaws.append(
                (column, "digits_lost", f"holds a number of more than 15 digits ({text}): the digits after the 15th are lost")
            )
        elif shown is Format.OTHER or (shown is Format.WHOLE and "." in text):
            row.otherwise_shown.append((column, code))
        return text
