"""Sheets of .xls and .xlsb, read by pandas with calamine in a process of its own.

In: the file. Out: each cell's text as a person reads it, or what is wrong with it. Never: silence about what cannot be
seen: calamine hides errors, display formats and hidden rows, which are looked for in an .xls and named for an .xlsb.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from batch_enroll.errors import InputError
from batch_enroll.loading.biff import Notes, read_notes
from batch_enroll.loading.cells import format_of, shows_other, value_text
from batch_enroll.loading.merges import Merge, Merges
from batch_enroll.loading.sheets import Sheet, choose_sheet
from batch_enroll.loading.workbook import Flaw, SheetRow

_CHILD = Path(__file__).with_name("calamine_child.py")
_TIMEOUT_S = 900.0


class OldSheet:
    """One sheet of a workbook.

    Args:
        folder: a private folder for what the other process reads.
    """

    def __init__(self, path: Path, *, sheet: str | None, name: str, folder: Path) -> None:
        _read(path, folder, name=name)
        found = {one["name"]: one for one in json.loads((folder / "sheets.json").read_text(encoding="utf-8"))}
        sheets = [Sheet(name=one["name"], is_visible=one["is_visible"]) for one in found.values()]
        self.name = choose_sheet(sheets, name=sheet, is_empty=lambda sheet: bool(found[sheet.name]["is_empty"])).name
        self._rows = folder / f"{found[self.name]['place']}.jsonl"
        self._merges = found[self.name]["merges"]
        notes = read_notes(path.read_bytes(), self.name)
        self._notes = notes or Notes()
        self.unseen = "" if notes else "errors, hidden rows and columns, numbers shown in another form"

    def rows(self) -> Iterator[SheetRow]:
        """From the top."""
        with self._rows.open(encoding="utf-8") as rows:
            for place, line in enumerate(rows):
                row = SheetRow(place + 1, is_hidden=place in self._notes.hidden_rows)
                for column, value in enumerate(json.loads(line)):
                    row.cells.append(self._text(value, place, column, row))
                yield row

    def merges(self) -> Merges:
        """Which cells are merged."""
        return Merges(Merge(top + 1, left, bottom + 1, right) for (top, left), (bottom, right) in self._merges)

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        return self._notes.hidden_columns

    def _text(self, value: object, place: int, column: int, row: SheetRow) -> str:
        if error := self._notes.errors.get((place, column)):
            row.flaws.append(Flaw.error(column, error))
            return ""
        text, is_lossy = value_text(timedelta(**value) if isinstance(value, dict) else value)
        code = self._notes.formats.get((place, column), "")
        if is_lossy:
            row.flaws.append(Flaw.digits_lost(column, text))
        elif code and shows_other(format_of(code), text):
            row.otherwise_shown.append((column, code))
        return text


def _read(path: Path, folder: Path, *, name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BATCH_ENROLL_")}
    try:
        # -P: the modules beside the script must not stand in for others of the same name
        command = [sys.executable, "-P", str(_CHILD), str(path), str(folder)]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise InputError(
            f"'{name}' begins like an old Excel workbook but cannot be read: it is damaged or of an unknown kind.",
            hint="Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8).",
        ) from error
