"""A table with a known header whose rows are read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from batch_enroll.column_lookup import find_column
from batch_enroll.errors import EmptyInput, InputError
from batch_enroll.loading.header_detection import HEAD_ROWS, HeaderCandidate, Place, find_header, location
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.loading.text_damage import mark_damaged
from batch_enroll.messages import Message, message
from batch_enroll.models import EarlierResult, InputOptions, Notice, Row, RowStatus
from batch_enroll.result_columns import ADDED_COLUMNS, is_results_header, unguard

BLOCK_ROWS = 1_000
_SENT = {status.value: status for status in (RowStatus.SUCCESS, RowStatus.UNKNOWN)}


class InputReader(Protocol):
    """The part that differs between text files and the types of workbook."""

    form: Message  #: one phrase: the type of the file and how it is read
    sheet: str | None
    place: Place  #: what row numbers count
    may_be_damaged: bool  #: False while no block of `blocks` can hold what `mark_damaged` looks for

    def lines(self) -> Iterator[HeaderCandidate]:
        """Iterate over the rows as stored, from the top."""
        ...

    def blocks(self, header: HeaderCandidate, warnings: ReaderWarnings) -> Iterator[list[Row]]:
        """Iterate over the rows below the header, as wide as it, without blank ones, at most `BLOCK_ROWS` a block."""
        ...


class InputTable:
    """One table of the input.

    Attributes:
        columns: the header as stored, without the columns that results files add; names may be repeated or "".
        header_row: its row number; the first row is 1.
        sheet: None when the file has no sheets.
        form: one phrase, "CSV, UTF-8, separated by ';'".
        sha256: hex, of the input's bytes.
        is_results: it is one of our own results files, so that rows may have an `earlier` result.
    """

    def __init__(
        self,
        reader: InputReader,
        *,
        options: InputOptions,
        wanted: Sequence[str],
        matching: str | None,
        sha256: str,
    ) -> None:
        self._reader = reader
        self._options = options
        self._found = self._warnings = ReaderWarnings()
        self._header = find_header(
            _head(reader.lines(), through=options.header_row or 0),
            wanted=wanted,
            header_row=options.header_row,
            warnings=self._warnings,
            place=reader.place,
        )
        self._own = _OwnResults.detect(self._header.cells)
        self.is_results = self._own is not None
        self.columns = self._own.cells(self._header.cells) if self._own else tuple(self._header.cells)
        used = [find_column(self.columns, name) for name in wanted]
        self._used = {self._own.kept[column] for column in used} if self._own else set(used)
        found = None if matching is None else find_column(self.columns, matching)
        self._matching = self._own.kept[found] if self._own and found is not None else found
        self.header_row = self._header.number
        self.sheet = reader.sheet
        self.form = reader.form
        self.sha256 = sha256

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Notices about the file; complete once `blocks` is exhausted."""
        return self._warnings.notices()

    def blocks(self) -> Iterator[list[Row]]:
        """Read the data rows in order, at most 1,000 at a time, without blank rows.

        Raises:
            InputError: the file is damaged further down, or has no rows.
        """
        self._warnings = self._found.copy(used=self._used or None, matching=self._matching)
        first, left = self._options.start_row or 0, self._options.limit
        found = 0
        for block in self._reader.blocks(self._header, self._warnings):
            rows = block if block[0].number >= first else [row for row in block if row.number >= first]
            rows = rows[: None if left is None else left - found]
            found += len(rows)
            if rows:
                if self._reader.may_be_damaged:
                    rows = mark_damaged(rows, self._header.cells, self._warnings)
                yield [self._own.row(row) for row in rows] if self._own else rows
            if found == left:
                return
        if not found:
            place = location(self._reader.place, self.header_row)
            if first:
                raise InputError(message("input.only_earlier_rows", place=place, first=first))
            raise EmptyInput(message("input.only_header", place=place))


@dataclass(frozen=True, slots=True)
class _OwnResults:
    """The mapping of a results file to the columns of the input it was made from."""

    kept: tuple[int, ...]  #: positions of the input's own columns
    status_at: int  #: position of `enroll_status`
    row_at: int  #: position of `enroll_row`
    run_at: int | None  #: position of `enroll_run`; None when somebody removed the column

    @classmethod
    def detect(cls, header: Sequence[str]) -> _OwnResults | None:
        """Recognise a results file by its header; None for any other file.

        Of several columns with one name the last is the added one: the input itself may have had such a column.
        """
        if not is_results_header(header):
            return None
        added = {name: column for column, name in enumerate(header) if name in ADDED_COLUMNS}
        positions = set(added.values())
        return cls(
            kept=tuple(column for column in range(len(header)) if column not in positions),
            status_at=added["enroll_status"],
            row_at=added["enroll_row"],
            run_at=added.get("enroll_run"),
        )

    def cells(self, cells: Sequence[str]) -> tuple[str, ...]:
        """Remove the added columns and the apostrophes that guard formulas."""
        return tuple(unguard(cells[column]) for column in self.kept)

    def row(self, row: Row) -> Row:
        """Convert a row; its problems keep pointing to the same cells."""
        problems = tuple(
            problem if problem.column is None else replace(problem, column=self.kept.index(problem.column))
            for problem in row.problems
            if problem.column is None or problem.column in self.kept
        )
        return Row(
            number=row.number, cells=self.cells(row.cells), problems=problems, earlier=self._earlier_result(row.cells)
        )

    def _earlier_result(self, cells: Sequence[str]) -> EarlierResult | None:
        status = _SENT.get(cells[self.status_at].strip().lower())
        if status is None:
            return None
        run_id = "" if self.run_at is None else cells[self.run_at].strip()
        return EarlierResult(status=status, run_id=run_id, row=cells[self.row_at].strip())


def _head(lines: Iterator[HeaderCandidate], *, through: int) -> list[HeaderCandidate]:
    """List the first rows that are not blank, at least up to row `through`."""
    head: list[HeaderCandidate] = []
    for line in lines:
        if len(head) >= HEAD_ROWS and line.number > through:
            break
        if line.filled:
            head.append(line)
    return head
