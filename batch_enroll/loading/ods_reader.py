"""Read sheets of .ods workbooks (LibreOffice and others) as a stream.

For each number the file holds both its value and the displayed text, so a different display is detected directly.
Source: OASIS OpenDocument 1.3 part 3, section 9 (tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from xml.etree.ElementTree import Element, ParseError
from zipfile import ZipFile

from batch_enroll.loading.cell_text import duration_text, number_text
from batch_enroll.loading.merged_cells import Merge, Merges
from batch_enroll.loading.sheet_rows import CellProblem, SheetRow
from batch_enroll.loading.sheet_selection import Sheet, choose_sheet
from batch_enroll.loading.xml_stream import HeldXml, iter_xml, local_name

_PART = "content.xml"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"

_MAX_ROWS = 1 << 24  # LibreOffice's largest sheet
_MAX_COLUMNS = 1 << 14
_HIDDEN = ("collapse", "filter")
_ERROR = re.compile(r"#[A-Z/0-9]+[!?]?|Err:\d+")
_OTHER_ID = re.compile(r"0\d+|(?=.*[+()-])[\d +()-]+")  # 000123, +7 (900) 000-00-01
_TIME = re.compile(r"(-?)P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


@dataclass(slots=True)
class _SurveyedSheet:
    """What the first pass through the document finds out about a sheet."""

    sheet: Sheet
    place: int  #: among the sheets, from 0
    is_empty: bool = True
    merges: list[Merge] = field(default_factory=list)
    hidden_columns: set[int] = field(default_factory=set)
    columns: int = 0  #: described so far


class OdsSheet:
    """One sheet of an opened document."""

    is_fully_checked = True

    def __init__(self, archive: ZipFile, *, sheet: str | None) -> None:
        self._archive = archive
        tables = {table.sheet: table for table in self._survey()}
        self._table = tables[choose_sheet([*tables], name=sheet, is_empty=lambda sheet: tables[sheet].is_empty)]
        self.name = self._table.sheet.name

    def rows(self) -> Iterator[SheetRow]:
        """Iterate over the rows from the top, without blank ones."""
        place, number = -1, 1
        for event, element in self._walk():
            if event == "start" and element.tag == f"{_TABLE}table":
                place, number = place + 1, 1
            elif event == "end" and element.tag == f"{_TABLE}table-row":
                repeats = _count(element, f"{_TABLE}number-rows-repeated", _MAX_ROWS)
                if place == self._table.place:
                    row = _read_row(element, number)
                    for repeat in range(repeats if row.cells or row.problems else 0):
                        yield replace(row, number=number + repeat)
                number += repeats
            if place > self._table.place:
                return

    def merges(self) -> Merges:
        """Get the merged cells."""
        return Merges(self._table.merges)

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        return self._table.hidden_columns

    def _survey(self) -> list[_SurveyedSheet]:
        tables: list[_SurveyedSheet] = []
        hidden_styles: set[str] = set()
        number = 1
        for event, element in self._walk():
            tag = element.tag
            if event == "end" and tag == f"{_STYLE}style":
                if any(child.get(f"{_TABLE}display") == "false" for child in element):
                    hidden_styles.add(element.get(f"{_STYLE}name", ""))
            elif event == "start" and tag == f"{_TABLE}table":
                is_visible = element.get(f"{_TABLE}style-name") not in hidden_styles
                sheet = Sheet(name=element.get(f"{_TABLE}name", ""), is_visible=is_visible, part=str(len(tables)))
                tables.append(_SurveyedSheet(sheet, len(tables)))
                number = 1
            elif event == "start" and tag == f"{_TABLE}table-column" and tables:
                count = _count(element, f"{_TABLE}number-columns-repeated", _MAX_COLUMNS)
                if element.get(f"{_TABLE}visibility") in _HIDDEN:
                    tables[-1].hidden_columns.update(range(tables[-1].columns, tables[-1].columns + count))
                tables[-1].columns += count
            elif event == "end" and tag == f"{_TABLE}table-row" and tables:
                row = _read_row(element, number, merges=tables[-1].merges)
                tables[-1].is_empty = tables[-1].is_empty and not (row.cells or row.problems)
                number += _count(element, f"{_TABLE}number-rows-repeated", _MAX_ROWS)
        return tables

    def _walk(self) -> Iterator[tuple[str, Element]]:
        """Iterate over the elements of the document; a row is freed after it was yielded."""
        parents: list[Element] = []
        held = HeldXml()
        for event, element in iter_xml(self._archive, _PART, events=("start", "end"), held=held):
            yield event, element
            if event == "start":
                parents.append(element)
            else:
                parents.pop()
                if parents and element.tag == f"{_TABLE}table-row":
                    parents[-1].clear()
                    held.bytes = 0
                elif element.tag == f"{_STYLE}style":
                    held.bytes = 0  # they are kept, and are as many as the document has


def _read_row(element: Element, number: int, *, merges: list[Merge] | None = None) -> SheetRow:
    row = SheetRow(number, is_hidden=element.get(f"{_TABLE}visibility") in _HIDDEN)
    column = 0
    for cell in element:
        if local_name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        repeats = _count(cell, f"{_TABLE}number-columns-repeated", _MAX_COLUMNS)
        if len(cell) or cell.attrib:
            text = _cell_text(cell, column, row)
            if text:
                row.cells.extend([""] * (column - len(row.cells)) + [text] * repeats)
            if merges is not None:
                down = _count(cell, f"{_TABLE}number-rows-spanned", _MAX_ROWS)
                across = _count(cell, f"{_TABLE}number-columns-spanned", _MAX_COLUMNS)
                if down * across > 1:
                    merges.append(Merge(number, column, number + down - 1, column + across - 1))
        column += repeats
        if column > _MAX_COLUMNS:
            break
    return row


def _cell_text(cell: Element, column: int, row: SheetRow) -> str:
    """Return a cell's text; its problems are added to the row."""
    shown = "\n".join(_inline(child) for child in cell if child.tag == f"{_TEXT}p")
    kind = cell.get(f"{_OFFICE}value-type")
    has_formula = cell.get(f"{_TABLE}formula") is not None
    is_error = any(key.endswith("}value-type") and value == "error" for key, value in cell.items())
    if is_error or (has_formula and _ERROR.fullmatch(shown)):
        row.problems.append(CellProblem(column, "excel_error", shown or "#VALUE!"))
        return ""
    if has_formula and kind is None:
        row.problems.append(CellProblem(column, "formula_without_value"))
        return ""
    match kind:
        case "float" | "percentage" | "currency":
            return _number(cell.get(f"{_OFFICE}value", ""), shown, column, row)
        case "date":
            row.dates.append(column)
            day, _, time = cell.get(f"{_OFFICE}date-value", "").partition("T")
            time = _without_fraction(time)
            return day if not time or (time == "00:00:00" and ":" not in shown) else f"{day} {time}"
        case "time":
            row.dates.append(column)
            return _time(cell.get(f"{_OFFICE}time-value", ""))
        case "boolean":
            return cell.get(f"{_OFFICE}boolean-value", "").upper()
        case _:
            return cell.get(f"{_OFFICE}string-value", shown)


def _number(value: str, shown: str, column: int, row: SheetRow) -> str:
    try:
        text, is_lossy = number_text(value)
    except ValueError as error:
        raise ParseError(f"no number: {value}") from error
    if is_lossy:
        row.problems.append(CellProblem(column, "digits_lost", text))
    elif shown.replace(",", ".") not in ("", text):
        row.otherwise_shown.append((column, "", shown if _OTHER_ID.fullmatch(shown) else ""))
    return text


def _inline(element: Element) -> str:
    """Return the text of a paragraph with its blanks, tabs and line breaks, without comments."""
    match local_name(element):
        case "s":
            return " " * _count(element, f"{_TEXT}c", _MAX_COLUMNS)
        case "tab":
            return "\t"
        case "line-break":
            return "\n"
        case "annotation" | "note":
            return ""
    return (element.text or "") + "".join(_inline(child) + (child.tail or "") for child in element)


def _time(value: str) -> str:
    match = _TIME.fullmatch(value)
    if not match:
        return value
    sign, days, hours, minutes, seconds = match.groups(default="0")
    duration = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return f"{'-' if sign == '-' else ''}{duration_text(duration, hour_digits=2)}"


def _without_fraction(time: str) -> str:
    return time.rstrip("0").rstrip(".") if "." in time else time


def _count(element: Element, key: str, most: int) -> int:
    value = element.get(key, "1")
    return min(int(value), most) if value.isascii() and value.isdigit() else 1
