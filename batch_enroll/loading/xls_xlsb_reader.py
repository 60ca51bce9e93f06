"""Read sheets of .xls and .xlsb workbooks in a separate process (see xls_xlsb_worker).

Errors, display formats and hidden rows of an .xlsb cannot be seen: `is_fully_checked` is False.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from batch_enroll.daemon_threads import on_abandon
from batch_enroll.errors import InputError
from batch_enroll.loading.cell_text import (
    BUILT_IN_FORMATS,
    UNKNOWN_FORMAT,
    Format,
    format_of,
    value_text,
)
from batch_enroll.loading.file_type import FileType
from batch_enroll.loading.merged_cells import Merge, Merges
from batch_enroll.loading.sheet_rows import CellProblem, SheetRow
from batch_enroll.loading.sheet_selection import Sheet, choose_sheet
from batch_enroll.messages import message

_WORKER = Path(__file__).with_name("xls_xlsb_worker.py")
_TIMEOUT_S = 900.0


class XlsXlsbSheet:
    """One sheet of a workbook.

    Args:
        folder: a private folder for the files that the worker process writes.
    """

    def __init__(self, path: Path, kind: FileType, *, sheet: str | None, name: str, folder: Path) -> None:
        _run_worker(path, folder, engine="xlrd" if kind is FileType.XLS else "calamine", name=name)
        book = json.loads((folder / "sheets.json").read_text(encoding="utf-8"))
        found = {one["name"]: one for one in book["sheets"]}
        sheets = [Sheet(name=one["name"], is_visible=one["is_visible"]) for one in found.values()]
        self.name = choose_sheet(sheets, name=sheet, is_empty=lambda sheet: bool(found[sheet.name]["is_empty"])).name
        self._sheet = found[self.name]
        self._rows = folder / f"{self._sheet['place']}.jsonl"
        self._from_1904 = book["from_1904"]
        codes = [BUILT_IN_FORMATS.get(key, UNKNOWN_FORMAT) if code is None else code for key, code in book["formats"]]
        self._formats = [(format_of(code), code) for code in codes]
        self.is_fully_checked = kind is FileType.XLS

    def rows(self) -> Iterator[SheetRow]:
        """Iterate over the rows from the top, without blank ones."""
        hidden = set(self._sheet["hidden_rows"])
        with self._rows.open(encoding="utf-8") as rows:
            for place, line in enumerate(rows):
                row = SheetRow(place + 1, is_hidden=place in hidden)
                for column, value in enumerate(json.loads(line)):
                    row.cells.append(value if isinstance(value, str) else self._text(value, column, row))
                if row.cells:
                    yield row

    def merges(self) -> Merges:
        """Get the merged cells."""
        return Merges(Merge(top + 1, left, bottom + 1, right) for (top, left), (bottom, right) in self._sheet["merges"])

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        return set(self._sheet["hidden_columns"])

    def _text(self, value: object, column: int, row: SheetRow) -> str:
        match value:
            case {"error": shown}:
                row.problems.append(CellProblem(column, "excel_error", shown))
                return ""
            case {"date": text}:
                row.dates.append(column)
                return str(text)
            case {"seconds": seconds}:
                row.dates.append(column)
                return value_text(timedelta(seconds=seconds))[0]
            case [int() | float() as number, int() as style]:
                shown, code = self._formats[style] if style < len(self._formats) else (Format.PLAIN, "")
                return row.number_text(column, repr(number), shown, code, from_1904=self._from_1904)
            case bool():
                return value_text(value)[0]
            case _:
                return row.number_text(column, repr(value), Format.PLAIN, "")


def _run_worker(path: Path, folder: Path, *, engine: str, name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BATCH_ENROLL_")}
    try:
        # -P: the modules beside the script must not shadow others of the same name
        command = [sys.executable, "-P", str(_WORKER), engine, str(path), str(folder)]
        with (
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader,
            on_abandon(reader.kill),
        ):
            try:
                status = reader.wait(_TIMEOUT_S)
            finally:
                reader.kill()  # does nothing when it has ended
        subprocess.CompletedProcess(command, status).check_returncode()
    except (subprocess.SubprocessError, OSError) as error:
        raise InputError(message("input.old_workbook_damaged", name=name)) from error
