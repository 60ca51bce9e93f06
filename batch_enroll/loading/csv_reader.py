"""CSV and its cousins: a text whose lines are rows and whose cells are separated by one character.

In: a text file, its encoding and its delimiter. Out: rows of text, each with the physical line on which it begins.
Never: a cell that moved to another column, a row that vanished inside a quoted cell without a word.

The loop over the rows runs at the speed of the csv module: whatever is unusual about a row (more than one line, another
number of cells, a blank first cell, damaged bytes) takes a second, slower look.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from batch_enroll.columns import column_title, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.csv_dialect import Dialect
from batch_enroll.loading.encoding_detection import Encoding, readable, undecodable
from batch_enroll.loading.header_detection import HEAD_ROWS, HeaderCandidate
from batch_enroll.loading.input_table import BLOCK_ROWS
from batch_enroll.loading.physical_lines import PhysicalLines, UnterminatedQuote
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.loading.stray_quotes import QuoteShape, looks_swallowed, usual_shapes
from batch_enroll.models import Problem, Row

if TYPE_CHECKING:
    from _csv import Reader

_SHOWN_CHARACTERS = 40


class DelimitedReader:
    """Rows of one text file."""

    place = "Line"
    sheet: str | None = None

    def __init__(self, path: Path, *, encoding: Encoding, dialect: Dialect) -> None:
        csv.field_size_limit(2**31 - 1)  # the default refuses a note of 140,000 characters
        self._path = path
        self._encoding = encoding
        self._dialect = dialect
        self.form = f"CSV, {encoding.title}, {dialect.title}"

    def lines(self) -> Iterator[HeaderCandidate]:
        """The rows as they stand, read without a word about what is wrong with them."""
        with self._open() as stream:
            reader = csv.reader(stream, delimiter=self._dialect.delimiter)
            begin = 1
            for cells in reader:
                if begin > self._dialect.skipped_lines:
                    yield HeaderCandidate(begin, cells)
                begin = reader.line_num + 1

    def blocks(self, header: HeaderCandidate, remarks: ReaderWarnings) -> Iterator[list[Row]]:
        """The rows below the header."""
        below = (line.cells for line in self.lines() if line.number > header.number)
        usual = usual_shapes(islice(below, HEAD_ROWS), len(header.cells))
        with self._open() as stream:
            yield from _Rows(
                PhysicalLines(stream, is_damaged=self._encoding.errors != "strict"),
                self._dialect.delimiter,
                header,
                usual,
                remarks,
            ).blocks()

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        # newline="": the csv module must see the line ends as they are, in quoted cells too
        with self._path.open(encoding=self._encoding.codec, errors=self._encoding.errors, newline="") as stream:
            yield cast(TextIO, stream)


class _Rows:
    """One pass over the lines of a text table."""

    def __init__(
        self,
        lines: PhysicalLines,
        delimiter: str,
        header: HeaderCandidate,
        usual: Mapping[int, QuoteShape],
        remarks: ReaderWarnings,
    ) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._header = header
        self._width = len(header.cells)
        self._usual = usual
        self._remarks = remarks

    def blocks(self) -> Iterator[list[Row]]:
        lines, width, first = self._lines, self._width, list(self._header.cells)
        reader = csv.reader(lines.iter_lines(), delimiter=self._delimiter, strict=True)
        begin = self._pass_over_header(reader)
        rows: list[Row] = []
        done = False
        while not done:
            try:
                for cells in reader:
                    end = reader.line_num
                    if (
                        begin == end
                        and len(cells) == width
                        and ("!" <= cells[0] < "\x7f" or cells[0][:1].isalpha())
                        and cells != first
                        and not lines.damaged
                    ):
                        rows.append(Row(begin, tuple(cells)))
                    elif row := self._look_again(begin, end, cells):
                        rows.append(row)
                    begin = end + 1
                    if len(rows) == BLOCK_ROWS:
                        lines.forget(begin)
                        yield rows
                        rows = []
                done = True
            except csv.Error:
                end = reader.line_num
                rows.append(self._broken_row(begin, end))
                begin = end + 1
            except UnterminatedQuote as error:
                raise self._never_closed(begin) from error
            if rows:
                yield rows
                rows = []

    def _pass_over_header(self, reader: Reader) -> int:
        """Read up to the end of the header; returns the line after it."""
        while (begin := reader.line_num + 1) <= self._header.number:
            try:
                next(reader)
            except csv.Error as error:
                if begin == self._header.number:
                    raise InputError(
                        f'Line {begin}, the header, has a quote (") where none may stand.',
                        hint="Correct the quotes there and save the file.",
                    ) from error
            except UnterminatedQuote as error:
                raise self._never_closed(begin) from error
        return begin

    def _look_again(self, begin: int, end: int, cells: list[str]) -> Row | None:
        """Make a row of cells about which something is unusual; None when it is blank."""
        if not any(map(visible, cells)) and not any("\0" in cell for cell in cells):
            return None
        if undecodable("".join(cells)):
            return self._undecodable(begin, end, cells)
        problems = [*self._swallowing(begin, end), *self._wrong_width(begin, end, cells), *self._damage(begin, cells)]
        if [*map(visible, cells)] == [*map(visible, self._header.cells)]:
            problems.append(Problem(code="repeated_header", message=f"Line {begin} repeats the header."))
        self._lines.forget(end)
        return Row(number=begin, cells=self._fit(cells), problems=tuple(problems))

    def _fit(self, cells: Sequence[str]) -> tuple[str, ...]:
        missing = self._width - len(cells)
        return (*cells, *[""] * missing) if missing >= 0 else tuple(cells[: self._width])

    def _swallowing(self, begin: int, end: int) -> Iterator[Problem]:
        if begin == end:
            return
        lines = self._lines.between(begin, end)
        if looks_swallowed(lines, delimiter=self._delimiter, width=self._width, usual=self._usual):
            yield self._stray_quote(begin, end, "a quoted cell runs over {lines} and seems to swallow whole rows")

    def _wrong_width(self, begin: int, end: int, cells: Sequence[str]) -> Iterator[Problem]:
        if any(map(visible, cells[self._width :])):
            yield Problem(
                code="too_many_cells",
                message=f"Line {begin} has {len(cells)} cells, more than the header, which has {self._width}: "
                f"the extra ones are {', '.join(map(repr, cells[self._width :]))[:_SHOWN_CHARACTERS]}.",
            )
        elif len(cells) < self._width:
            if not self._lines.between(end, end)[0].endswith(("\r", "\n")):
                yield self._cut_off(begin, f"it has {len(cells)} of {self._width} cells and no line end")
            else:
                self._remarks.add(
                    "short_rows",
                    "Some rows have fewer cells than the header; the missing ones count as empty.",
                    row=begin,
                )

    def _damage(self, begin: int, cells: Sequence[str]) -> Iterator[Problem]:
        for column, cell in enumerate(cells[: self._width]):
            if "\0" in cell:
                title = column_title(self._header.cells, column)
                yield Problem(
                    code="nul_byte",
                    message=f"Line {begin} has a NUL (zero) byte in {title}: the cell is damaged.",
                    column=column,
                )

    def _undecodable(self, begin: int, end: int, cells: Sequence[str]) -> Row:
        cells = self._fit(cells)
        column = next((column for column, cell in enumerate(cells) if undecodable(cell)), None)
        where = "" if column is None else f" in {column_title(self._header.cells, column)}"
        if self._lines.between(end, end)[0].endswith(("\r", "\n")):
            message = f"Line {begin} has bytes that are no text in the file's encoding{where}."
            problem = Problem(code="undecodable", message=message, column=column)
        else:
            problem = self._cut_off(begin, f"it ends inside a character{where}")
        return Row(number=begin, cells=tuple(map(readable, cells)), problems=(problem,))

    def _broken_row(self, begin: int, end: int) -> Row:
        """Make a row of lines that the csv module cannot tell apart."""
        lines = self._lines.between(begin, end)
        cells = [readable(cell) for cell in next(csv.reader(lines, delimiter=self._delimiter))]
        if not self._lines.exhausted:
            problem = self._stray_quote(begin, end, "text follows a closing quote, so cells cannot be told apart")
        elif begin != end:
            raise self._never_closed(begin)
        elif not lines[-1].endswith(("\r", "\n")):
            problem = self._cut_off(begin, "a quoted cell is not closed and there is no line end")
        else:
            problem = self._stray_quote(begin, end, "a quoted cell is not closed")
        return Row(number=begin, cells=self._fit(cells), problems=(problem,))

    def _stray_quote(self, begin: int, end: int, what: str) -> Problem:
        lines = f"lines {begin}-{end}" if end > begin else f"line {begin}"
        sentence = what.format(lines=lines)
        self._remarks.add(
            "stray_quote",
            "Quotes in the file are not in pairs: some lines cannot be read as rows, rows may be lost inside a cell.",
            advice="Correct the quotes in these lines and load the file again.",
            row=begin,
        )
        return Problem(code="stray_quote", message=f'Line {begin}: {sentence}; check the quotes (") in {lines}.')

    def _cut_off(self, begin: int, why: str) -> Problem:
        self._remarks.add(
            "cut_off",
            f"The file seems to be cut off: the last line ({begin}) is incomplete.",
            advice="Export or copy the file again; rows may be missing after it.",
            row=begin,
        )
        return Problem(code="cut_off", message=f"Line {begin} is incomplete: {why}; the file may be cut off.")

    def _never_closed(self, begin: int) -> InputError:
        return InputError(
            f'Line {begin}: a quote (") opens in the row that begins there and is never closed, so all rows after it '
            f"are inside one cell.",
            hint="Correct the quotes there, or load the file again if it may be cut off.",
        )
