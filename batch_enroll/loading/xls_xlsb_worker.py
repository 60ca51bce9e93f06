"""Read an .xls with xlrd, or an .xlsb with pandas and calamine, in a separate process.

It runs as a script and imports nothing of this package. To the folder it writes `sheets.json` and, for each sheet,
`<place>.jsonl` with one row a line: a text, a boolean, a number, [number, cell style], {"date": "2024-03-01"},
{"seconds": ...} or {"error": "#N/A"} for each cell.

pandas does not read the .xls: it shows errors as blanks and durations as days of 1900, and pandas 3 calls its way to
xlrd deprecated.

Why a separate process: a damaged workbook makes calamine, which is native code, take all memory or abort (a count of
four billion texts), and makes xlrd follow an endless chain of sectors; no `except` can catch that.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterable
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, cast

import xlrd

_MAX_MEMORY_BYTES = 6 << 30


def main(engine: str, workbook: Path, folder: Path) -> None:
    """Write out all worksheets."""
    _limit_memory()
    found = _read_xls(workbook, folder) if engine == "xlrd" else _read_xlsb(workbook, folder)
    (folder / "sheets.json").write_text(json.dumps(found), encoding="utf-8")


def _read_xls(workbook: Path, folder: Path) -> dict[str, object]:
    codecs.register_error("strict", codecs.replace_errors)  # xlrd would refuse the file for half an emoji in one cell
    with Path(os.devnull).open("w") as log:
        book = xlrd.open_workbook(
            str(workbook),
            logfile=log,
            formatting_info=True,
            on_demand=True,
            ragged_rows=True,
            ignore_workbook_corruption=True,  # PHPExcel writes whole ones: github.com/python-excel/xlrd/issues/285
        )
        sheets = []
        for place in range(book.nsheets):
            sheets.append(_write_xls_sheet(book.sheet_by_index(place), folder / f"{place}.jsonl", place))
            book.unload_sheet(place)
    codes = {stored.format_key: stored.format_str for stored in book.format_list}
    formats = [[style.format_key, codes.get(style.format_key)] for style in book.xf_list]
    return {"sheets": sheets, "formats": formats, "from_1904": book.datemode == 1}


def _write_xls_sheet(sheet: xlrd.sheet.Sheet, path: Path, place: int) -> dict[str, object]:
    return {
        "name": sheet.name,
        "place": place,
        "is_visible": sheet.visibility == 0,
        "is_empty": not _write_rows((_xls_cells(sheet, row) for row in range(sheet.nrows)), path),
        "merges": [[[top, left], [bottom - 1, right - 1]] for top, bottom, left, right in sheet.merged_cells],
        "hidden_rows": [row for row, info in sheet.rowinfo_map.items() if info.hidden],
        "hidden_columns": [column for column, info in sheet.colinfo_map.items() if info.hidden],
    }


def _xls_cells(sheet: xlrd.sheet.Sheet, row: int) -> list[object]:
    cells: list[Any] = list(sheet.row_values(row))
    for column, kind in enumerate(sheet.row_types(row)):
        match kind:
            case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
                number = cells[column]
                cells[column] = [
                    int(number) if number.is_integer() else number,
                    sheet.cell_xf_index(row, column),
                ]
            case xlrd.XL_CELL_BOOLEAN:
                cells[column] = bool(cells[column])
            case xlrd.XL_CELL_ERROR:
                cells[column] = {"error": xlrd.error_text_from_code.get(cells[column], "#VALUE!")}
    return cells


def _read_xlsb(workbook: Path, folder: Path) -> dict[str, object]:
    import pandas  # takes longer than xlrd needs for a small .xls

    sheets = []
    with pandas.ExcelFile(workbook, engine="calamine") as file:
        book = cast(Any, file.book)
        for place, found in enumerate(book.sheets_metadata):
            if not str(found.typ).endswith(".WorkSheet"):
                continue
            frame = pandas.read_excel(file, sheet_name=found.name, header=None, dtype=object, na_filter=False)
            rows = ([_plain(value) for value in values] for values in frame.itertuples(index=False, name=None))
            sheets.append(
                {
                    "name": found.name,
                    "place": place,
                    "is_visible": str(found.visible).endswith(".Visible"),
                    "is_empty": not _write_rows(rows, folder / f"{place}.jsonl"),
                    "merges": book.get_sheet_by_name(found.name).merged_cell_ranges or [],
                    "hidden_rows": [],
                    "hidden_columns": [],
                }
            )
    return {"sheets": sheets, "formats": [], "from_1904": False}


def _plain(value: object) -> object:
    """Keep texts, numbers and booleans; write dates as {"date": ISO form}, durations as {"seconds": ...}."""
    if isinstance(value, date | time):  # a datetime is a date
        return {"date": value.isoformat().replace("T", " ").removesuffix(" 00:00:00")}
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    return value


def _write_rows(rows: Iterable[list[object]], path: Path) -> bool:
    """Write one row a line; returns whether a cell holds anything."""
    is_filled = False
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            while row and row[-1] == "":
                row.pop()
            is_filled = is_filled or bool(row)
            file.write(json.dumps(row) + "\n")
    return is_filled


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
