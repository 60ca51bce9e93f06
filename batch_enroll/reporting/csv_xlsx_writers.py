"""Write tables of text as CSV or XLSX.

CSV is UTF-8 with a BOM, by which Excel detects the encoding, and CRLF (RFC 4180): before Python 3.13 csv.writer quotes
a lone CR inside a cell only when CR is part of the line end, and unquoted it would split the row.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import escape

from batch_enroll.atomic_file import SHARED, AtomicFile
from batch_enroll.errors import RunStopped
from batch_enroll.messages import message
from batch_enroll.models import XLSX_CELL_CHARS
from batch_enroll.reporting.result_paths import XLSX_ROWS

XLSX_COLUMNS = 16_384
"""What one line holds. Source: Microsoft, "Excel specifications and limits"."""

_LONE = "backslashreplace"
"""Half a surrogate pair is no character and has no UTF-8: it is written as `\\\\ud83d` rather than as a broken file."""


class TableWriter(Protocol):
    """A table on its way to disk. Every method but `abandon` may raise OSError."""

    def write(self, lines: Iterable[Sequence[str]]) -> None:
        """Add lines.

        Raises:
            RunStopped: the form does not take them.
        """
        ...

    def save(self) -> None:
        """Put every byte on disk, not yet under the file's name."""
        ...

    def sha256(self) -> str:
        """Return the hex digest of the saved file."""
        ...

    def commit(self) -> None:
        """Rename the saved file to its name; when that fails, an older file is unchanged."""
        ...

    def abandon(self) -> None:
        """Remove the temporary file."""
        ...


class CsvTableWriter:
    """UTF-8 with BOM, CRLF, cells quoted where needed."""

    def __init__(self, path: Path, *, delimiter: str = ",", mode: int = SHARED) -> None:
        self._file = AtomicFile(path, mode=mode)
        self._text = io.TextIOWrapper(self._file.binary, encoding="utf-8-sig", errors=_LONE, newline="")
        self._csv = csv.writer(self._text, delimiter=delimiter, lineterminator="\r\n")

    def write(self, lines: Iterable[Sequence[str]]) -> None:
        self._csv.writerows(lines)

    def save(self) -> None:
        self._text.flush()
        self._file.save()

    def sha256(self) -> str:
        return self._file.sha256()

    def commit(self) -> None:
        self._file.commit()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._text.close()  # else it would try to write what it still holds when it is collected
        self._file.abandon()


class XlsxTableWriter:
    """One sheet, every cell text: no date, no number, no formula is made of anything."""

    def __init__(self, path: Path, *, mode: int = SHARED) -> None:
        import xlsxwriter

        self._path = path
        self._file = AtomicFile(path, mode=mode)
        try:
            # xlsxwriter keeps the lines in a file of its own until the end: beside the results, where there is
            # room for them, and not in a /tmp that may be small. The folder is readable by its owner alone.
            self._scratch = tempfile.TemporaryDirectory(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
        except BaseException:
            self._file.abandon()
            raise
        options = {"constant_memory": True, "tmpdir": self._scratch.name, "use_zip64": True}
        self._book = xlsxwriter.Workbook(self._file.binary, options)
        self._sheet = self._book.add_worksheet("Results")
        self._as_text = self._book.add_format({"num_format": "@"})
        self._sheet.freeze_panes(1, 0)
        self._sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{XLSX_ROWS}"})
        self._lines = 0

    def write(self, lines: Iterable[Sequence[str]]) -> None:
        write_string, as_text = self._sheet.write_string, self._as_text
        for line in lines:
            self._must_fit(line)
            for column, cell in enumerate(line):
                if cell:
                    write_string(self._lines, column, _xlsx_text(cell), as_text)
            self._lines += 1

    def save(self) -> None:
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:  # wraps the OSError
            raise OSError(*error.args[0].args) from error
        self._file.save()

    def sha256(self) -> str:
        return self._file.sha256()

    def commit(self) -> None:
        self._file.commit()
        self._clear()

    def abandon(self) -> None:
        self._file.abandon()
        self._clear()

    def _clear(self) -> None:
        with contextlib.suppress(OSError):
            self._sheet._opt_close()  # xlsxwriter has no public way to let a workbook go
        with contextlib.suppress(OSError):
            self._scratch.cleanup()

    def _must_fit(self, line: Sequence[str]) -> None:
        if self._lines >= XLSX_ROWS:
            raise RunStopped(message("report.sheet_full", path=str(self._path), most=XLSX_ROWS))
        if len(line) > XLSX_COLUMNS or max(map(len, line)) > XLSX_CELL_CHARS:
            raise RunStopped(
                message(
                    "report.line_too_wide",
                    line=self._lines + 1,
                    path=str(self._path),
                    columns=XLSX_COLUMNS,
                    characters=XLSX_CELL_CHARS,
                )
            )


_RICH = re.compile(r"<r>.*</r>\Z", re.DOTALL)


def _xlsx_text(cell: str) -> str:
    text = cell if cell.isascii() else cell.encode(errors=_LONE).decode()
    # xlsxwriter takes text of this shape for its own markup and writes it raw; so it gets true markup for that text.
    return f'<r><t xml:space="preserve">{escape(text)}</t></r>' if _RICH.match(text) else text
