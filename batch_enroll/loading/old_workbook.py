"""Sheets of .xls and .xlsb, read by pandas with calamine.

In: the file. Out: each cell's text as a person reads it. Never: more than calamine tells; what it hides (errors,
display formats, hidden rows) is said once, as a notice.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from batch_enroll.errors import InputError
from batch_enroll.loading.cells import value_text
from batch_enroll.loading.merges import Merge, Merges
from batch_enroll.loading.sheets import Sheet, choose_sheet
from batch_enroll.loading.workbook import Flaw, SheetRow

if TYPE_CHECKING:
    import pandas


class OldSheet:
    """One sheet of an opened workbook."""

    def __init__(self, path: Path, *, sheet: str | None, name: str) -> None:
        import pandas

        with _reported(name):
            self._book = pandas.ExcelFile(io.BytesIO(path.read_bytes()), engine="calamine")
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

    def rows(self) -> Iterator[SheetRow]:
        """From the top."""
        for number, values in enumerate(self._frame.itertuples(index=False, name=None), start=1):
            row = SheetRow(number)
            for column, value in enumerate(values):
                text, is_lossy = value_text(value)
                row.cells.append(text)
                if is_lossy:
                    row.flaws.append(Flaw.digits_lost(column, text))
            yield row

    def close(self) -> None:
        """Let go of the file."""
        self._book.close()

    def merges(self) -> Merges:
        """Which cells are merged."""
        ranges = cast(Any, self._book.book).get_sheet_by_name(self.name).merged_cell_ranges or []
        return Merges(Merge(top + 1, left, bottom + 1, right) for (top, left), (bottom, right) in ranges)

    def hidden_columns(self) -> set[int]:
        """Calamine does not tell."""
        return set()


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
