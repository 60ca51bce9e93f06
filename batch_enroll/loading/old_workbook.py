"""Sheets of .xls and .xlsb, read by pandas with calamine.

In: the file. Out: each cell's text as a person reads it, or what is wrong with it. Never: silence about what cannot be
seen: calamine hides errors, display formats and hidden rows, which are looked for in an .xls and named for an .xlsb.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from batch_enroll.errors import InputError
from batch_enroll.loading.biff import Notes, check, read_notes
from batch_enroll.loading.cells import format_of, shows_other, value_text
from batch_enroll.loading.merges import Merge, Merges
from batch_enroll.loading.sheets import Sheet, choose_sheet
from batch_enroll.loading.workbook import Flaw, SheetRow

if TYPE_CHECKING:
    import pandas

_XLS = b"\xd0\xcf"


class OldSheet:
    """One sheet of an opened workbook."""

    def __init__(self, path: Path, *, sheet: str | None, name: str) -> None:
        import pandas

        data = path.read_bytes()
        with _reported(name):
            if data.startswith(_XLS):
                check(data)
            self._book = pandas.ExcelFile(io.BytesIO(data), engine="calamine")
            sheets = [
                Sheet(name=found.name, is_visible=str(found.visible).endswith(".Visible"))
                for found in cast(Any, self._book.book).sheets_metadata
                if str(found.typ).endswith(".WorkSheet")
            ]
        frames: dict[str, pandas.DataFrame] = {}

        def frame(of: Sheet) -> pandas.DataFrame:
            if of.name not in frames:
                with _reported(name):
                    frames[of.name] = pandas.read_excel(
                        self._book, sheet_name=of.name, header=None, dtype=object, na_filter=False
                    )
            return frames[of.name]

        chosen = choose_sheet(sheets, name=sheet, is_empty=lambda sheet: frame(sheet).empty)
        self.name = chosen.name
        self._frame = frame(chosen)
        notes = read_notes(data, self.name)
        self._notes = notes or Notes()
        self.unseen = "" if notes else "errors, hidden rows and columns, numbers shown in another form"

    def rows(self) -> Iterator[SheetRow]:
        """From the top."""
        for place, values in enumerate(self._frame.itertuples(index=False, name=None)):
            row = SheetRow(place + 1, is_hidden=place in self._notes.hidden_rows)
            for column, value in enumerate(values):
                row.cells.append(self._text(value, place, column, row))
            yield row

    def _text(self, value: object, place: int, column: int, row: SheetRow) -> str:
        if error := self._notes.errors.get((place, column)):
            row.flaws.append(Flaw.error(column, error))
            return ""
        text, is_lossy = value_text(value)
        code = self._notes.formats.get((place, column), "")
        if is_lossy:
            row.flaws.append(Flaw.digits_lost(column, text))
        elif code and shows_other(format_of(code), text):
            row.otherwise_shown.append((column, code))
        return text

    def close(self) -> None:
        """Let go of the file."""
        self._book.close()

    def merges(self) -> Merges:
        """Which cells are merged."""
        ranges = cast(Any, self._book.book).get_sheet_by_name(self.name).merged_cell_ranges or []
        return Merges(Merge(top + 1, left, bottom + 1, right) for (top, left), (bottom, right) in ranges)

    def hidden_columns(self) -> set[int]:
        """Positions of the columns that are hidden."""
        return self._notes.hidden_columns


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Translate whatever pandas and calamine raise about a file that they cannot read."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError, InputError):
        raise
    except BaseException as error:  # a panic of calamine is no Exception
        raise InputError(
            f"'{name}' begins like an old Excel workbook but cannot be read: it is damaged or of an unknown kind.",
            hint="Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8).",
        ) from error
