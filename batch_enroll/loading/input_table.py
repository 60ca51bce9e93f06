"""A table ready to be read: its header is known, its rows come in blocks.

In: a reader of some kind of file, and the options. Out: rows as wide as the header. Never: a trimmed or changed cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from batch_enroll.columns import find_column
from batch_enroll.errors import InputError
from batch_enroll.loading.header_detection import HEAD_ROWS, HeaderCandidate, find_header
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.models import InputOptions, Notice, Row
from batch_enroll.result_columns import ADDED_COLUMNS, unguard

BLOCK_ROWS = 1_000
_OWN_MARKS = {"enroll_row", "enroll_status"}  # no customer's file has both


class Reader(Protocol):
    """What is different between CSV and the kinds of workbook."""

    form: str  #: one phrase for people
    sheet: str | None
    place: str  #: what a row is called: "Row", or "Line" in a text file

    def lines(self) -> Iterator[HeaderCandidate]:
        """The rows as they stand, from the top."""
        ...

    def blocks(self, header: HeaderCandidate, remarks: ReaderWarnings) -> Iterator[list[Row]]:
        """The rows below the header, as wide as it, without blank rows, at most `BLOCK_ROWS` at a time."""
        ...


class Table:
    """One table of the input.

    Attributes:
        columns: the header as it stands in the file, our own added columns left out; names may be double or "".
        header_row: its row, as the person counts.
        sheet: None when the file has no sheets.
        form: one phrase for people, "CSV, UTF-8, separated by ';'".
        sha256: hex, of the input's bytes.
    """

    def __init__(self, reader: Reader, *, options: InputOptions, wanted: Sequence[str], sha256: str) -> None:
        self._reader = reader
        self._options = options
        self._found = self._remarks = ReaderWarnings()
        self._header = find_header(
            _head(reader.lines(), through=options.header_row or 0),
            wanted=wanted,
            header_row=options.header_row,
            remarks=self._remarks,
            place=reader.place,
        )
        self._own = _OwnResults.of(self._header.cells)
        self.columns = self._own.cells(self._header.cells) if self._own else tuple(self._header.cells)
        for name in wanted:
            find_column(self.columns, name)
        self.header_row = self._header.number
        self.sheet = reader.sheet
        self.form = reader.form
        self.sha256 = sha256

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What people should hear; complete once `blocks` is exhausted."""
        return self._remarks.notices()

    def blocks(self) -> Iterator[list[Row]]:
        """Read the data rows in order, at most 1,000 at a time, without blank rows.

        Raises:
            InputError: the file is damaged further down, or has no rows.
        """
        self._remarks = self._found.copy()
        first, left = self._options.start_row or 0, self._options.limit
        found = 0
        for block in self._reader.blocks(self._header, self._remarks):
            rows = block if block[0].number >= first else [row for row in block if row.number >= first]
            rows = rows[: None if left is None else left - found]
            found += len(rows)
            if rows:
                yield [self._own.row(row) for row in rows] if self._own else rows
            if found == left:
                return
        if not found:
            beyond = f" from row {first} on" if first else ""
            raise InputError(
                f"The file has a header ({self._reader.place.lower()} {self.header_row}) but no rows{beyond}.",
                hint="Check that the right file was chosen and that it was saved with its rows.",
            )


@dataclass(frozen=True, slots=True)
class _OwnResults:
    """One of our own results files, read as the input that it was made from."""

    kept: tuple[int, ...]  #: positions of the input's own columns

    @classmethod
    def of(cls, header: Sequence[str]) -> _OwnResults | None:
        """Recognise our own file by its header."""
        if not _OWN_MARKS.issubset(header):
            return None
        return cls(tuple(column for column, name in enumerate(header) if name not in ADDED_COLUMNS))

    def cells(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Leave out what was added, take off what was put in front."""
        return tuple(unguard(cells[column]) for column in self.kept)

    def row(self, row: Row) -> Row:
        """Do so in a row, and let its problems point to the same cells."""
        problems = tuple(
            problem if problem.column is None else replace(problem, column=self.kept.index(problem.column))
            for problem in row.problems
            if problem.column is None or problem.column in self.kept
        )
        return Row(number=row.number, cells=self.cells(row.cells), problems=problems)


def _head(lines: Iterator[HeaderCandidate], *, through: int) -> list[HeaderCandidate]:
    """Take the first rows that hold anything, and all up to the row that a person named."""
    head: list[HeaderCandidate] = []
    for line in lines:
        if len(head) >= HEAD_ROWS and line.number > through:
            break
        if line.filled:
            head.append(line)
    return head
