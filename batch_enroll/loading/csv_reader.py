"""Read delimited text files (CSV, TSV), each row with the physical line on which it begins.

The loop over ordinary rows does almost nothing beside the csv module; an unusual row (more than one line, another
number of cells, a blank first cell, damaged bytes) is checked by slower code.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from batch_enroll.column_lookup import column_title, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.csv_dialect import Dialect
from batch_enroll.loading.encoding_detection import Encoding, readable, undecodable
from batch_enroll.loading.header_detection import HEAD_ROWS, HeaderCandidate, Place
from batch_enroll.loading.input_table import BLOCK_ROWS
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.loading.stray_quotes import QuoteShape, looks_swallowed, usual_shapes
from batch_enroll.messages import Message, message
from batch_enroll.models import Problem, Row

if TYPE_CHECKING:
    from _csv import Reader

_BLOCK_LINES = 1_000
_MAX_BLOCKS = 12
_SHOWN_CHARACTERS = 40
_SHORT_ROWS = message("input.short_rows")  # made once: it may concern every row


class DelimitedReader:
    """Rows of one text file."""

    place: Place = "line"
    sheet: str | None = None

    def __init__(self, path: Path, *, encoding: Encoding, dialect: Dialect) -> None:
        csv.field_size_limit(2**31 - 1)  # the default refuses a note of 140,000 characters
        self._path = path
        self._encoding = encoding
        self._dialect = dialect
        self.form = message("input.text_form", encoding=encoding.title, delimiter=dialect.title)

    def lines(self) -> Iterator[HeaderCandidate]:
        """Iterate over the rows as stored, without checking them."""
        with self._encoding.open(self._path) as stream:
            reader = csv.reader(stream, delimiter=self._dialect.delimiter)
            begin = 1
            for cells in reader:
                if begin > self._dialect.skipped_lines:
                    yield HeaderCandidate(begin, cells)
                begin = reader.line_num + 1

    def blocks(self, header: HeaderCandidate, warnings: ReaderWarnings) -> Iterator[list[Row]]:
        """Iterate over the rows below the header."""
        below = (line.cells for line in self.lines() if line.number > header.number)
        usual = usual_shapes(islice(below, HEAD_ROWS), len(header.cells))
        with self._encoding.open(self._path) as stream:
            yield from _RowIterator(
                _PhysicalLines(stream, is_damaged=self._encoding.errors != "strict"),
                self._dialect.delimiter,
                header,
                usual,
                warnings,
            ).blocks()


class _RowIterator:
    """Iterates once over the lines of a text table."""

    def __init__(
        self,
        lines: _PhysicalLines,
        delimiter: str,
        header: HeaderCandidate,
        usual: Mapping[int, QuoteShape],
        warnings: ReaderWarnings,
    ) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._header = header
        self._width = len(header.cells)
        self._usual = usual
        self._warnings = warnings

    def blocks(self) -> Iterator[list[Row]]:
        lines, width, first = self._lines, self._width, list(self._header.cells)
        reader = csv.reader(lines.iter_lines(), delimiter=self._delimiter, strict=True)
        begin = self._skip_header(reader)
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
                    elif row := self._check_unusual_row(begin, end, cells):
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
            except _UnterminatedQuote as error:
                raise _unclosed_quote(begin) from error
            if rows:
                yield rows
                rows = []

    def _skip_header(self, reader: Reader) -> int:
        """Read up to the end of the header; returns the line after it."""
        while (begin := reader.line_num + 1) <= self._header.number:
            try:
                next(reader)
            except csv.Error as error:
                if begin == self._header.number:
                    raise InputError(message("input.header_quote", line=begin)) from error
            except _UnterminatedQuote as error:
                raise _unclosed_quote(begin) from error
        return begin

    def _check_unusual_row(self, begin: int, end: int, cells: list[str]) -> Row | None:
        """Build a row whose cells are unusual in some way; None when it is blank."""
        if not any(map(visible, cells)) and not any("\0" in cell for cell in cells):
            return None
        if undecodable("".join(cells)):
            return self._undecodable(begin, end, cells)
        problems = [
            *self._check_quotes(begin, end),
            *self._check_width(begin, end, cells),
            *self._check_bytes(begin, cells),
        ]
        if [*map(visible, cells)] == [*map(visible, self._header.cells)]:
            problems.append(Problem(code="repeated_header", message=message("row.repeated_header", line=begin)))
        self._lines.forget(end)
        return Row(number=begin, cells=self._fit(cells), problems=tuple(problems))

    def _fit(self, cells: Sequence[str]) -> tuple[str, ...]:
        missing = self._width - len(cells)
        return (*cells, *[""] * missing) if missing >= 0 else tuple(cells[: self._width])

    def _check_quotes(self, begin: int, end: int) -> Iterator[Problem]:
        if begin == end:
            return
        lines = self._lines.between(begin, end)
        if looks_swallowed(lines, delimiter=self._delimiter, width=self._width, usual=self._usual):
            yield self._stray_quote(begin, message("row.swallowed_rows", line=begin, lines=_lines(begin, end)))

    def _check_width(self, begin: int, end: int, cells: Sequence[str]) -> Iterator[Problem]:
        if any(map(visible, cells[self._width :])):
            yield Problem(
                code="too_many_cells",
                message=message(
                    "row.too_many_cells",
                    line=begin,
                    cells=len(cells),
                    width=self._width,
                    extra=", ".join(map(repr, cells[self._width :]))[:_SHOWN_CHARACTERS],
                ),
            )
        elif len(cells) < self._width:
            if not self._lines.between(end, end)[0].endswith(("\r", "\n")):
                yield self._cut_off(begin, message("row.cut_off", line=begin, cells=len(cells), width=self._width))
            else:
                self._warnings.add("short_rows", _SHORT_ROWS, row=begin, columns=range(len(cells), self._width))

    def _check_bytes(self, begin: int, cells: Sequence[str]) -> Iterator[Problem]:
        for column, cell in enumerate(cells[: self._width]):
            if "\0" in cell:
                title = column_title(self._header.cells, column)
                why = message("cell.nul_byte", line=begin, column=title)
                yield Problem(code="nul_byte", message=why, column=column)

    def _undecodable(self, begin: int, end: int, cells: Sequence[str]) -> Row:
        cells = self._fit(cells)
        column = next((column for column, cell in enumerate(cells) if undecodable(cell)), None)
        title = None if column is None else column_title(self._header.cells, column)
        if self._lines.between(end, end)[0].endswith(("\r", "\n")):
            why = (
                message("row.undecodable", line=begin)
                if title is None
                else message("cell.undecodable", line=begin, column=title)
            )
            problem = Problem(code="undecodable", message=why, column=column)
        elif title is None:
            problem = self._cut_off(begin, message("row.cut_off_in_character", line=begin))
        else:
            problem = self._cut_off(begin, message("cell.cut_off", line=begin, column=title))
        return Row(number=begin, cells=tuple(map(readable, cells)), problems=(problem,))

    def _broken_row(self, begin: int, end: int) -> Row:
        """Build a row of lines that the csv module cannot split into cells."""
        lines = self._lines.between(begin, end)
        cells = [readable(cell) for cell in next(csv.reader(lines, delimiter=self._delimiter))]
        if not self._lines.exhausted:
            why = message("row.text_after_quote", line=begin, lines=_lines(begin, end))
            problem = self._stray_quote(begin, why)
        elif begin != end:
            raise _unclosed_quote(begin)
        elif not lines[-1].endswith(("\r", "\n")):
            problem = self._cut_off(begin, message("row.cut_off_in_quotes", line=begin))
        else:
            problem = self._stray_quote(begin, message("row.quote_not_closed", line=begin, lines=_lines(begin, end)))
        return Row(number=begin, cells=self._fit(cells), problems=(problem,))

    def _stray_quote(self, begin: int, why: Message) -> Problem:
        self._warnings.add("stray_quote", message("input.stray_quote"), row=begin)
        return Problem(code="stray_quote", message=why)

    def _cut_off(self, begin: int, why: Message) -> Problem:
        self._warnings.add("cut_off", message("input.cut_off", line=begin), row=begin)
        return Problem(code="cut_off", message=why)


class _UnterminatedQuote(Exception):
    """A row has more than ten thousand lines: its closing quote is missing."""


class _PhysicalLines:
    """Lines numbered from 1, whatever ends them (CR, LF or CRLF); those of the current row can be reread.

    Attributes:
        damaged: a line still in memory may hold a NUL or bytes that could not be decoded.
        exhausted: the text is at its end.
    """

    def __init__(self, stream: TextIO, *, is_damaged: bool) -> None:
        self._stream = stream
        self._blocks: deque[list[str]] = deque()
        self._first = 1  # number of the first line in memory
        self._is_damaged = is_damaged
        self.damaged = is_damaged
        self.exhausted = False

    def iter_lines(self) -> Iterator[str]:
        """Iterate over the lines; no Python code runs between two lines of a block."""
        return chain.from_iterable(self._read())

    def between(self, begin: int, end: int) -> list[str]:
        """Return the lines from `begin` to `end`, which were read and not yet forgotten."""
        return list(islice(chain.from_iterable(self._blocks), begin - self._first, end - self._first + 1))

    def forget(self, before: int) -> None:
        """Free the blocks of lines before this one."""
        while self._blocks and self._first + len(self._blocks[0]) <= before:
            self._first += len(self._blocks.popleft())

    def _read(self) -> Iterator[list[str]]:
        while block := list(islice(self._stream, _BLOCK_LINES)):
            if len(self._blocks) == _MAX_BLOCKS:
                raise _UnterminatedQuote
            self._blocks.append(block)
            self.damaged = self._is_damaged or any("\0" in "".join(lines) for lines in self._blocks)
            yield block
        self.exhausted = True


def _lines(first: int, last: int) -> Message:
    return message("row.lines", first=first, last=last) if last > first else message("row.line", line=first)


def _unclosed_quote(line: int) -> InputError:
    return InputError(message("input.quote_not_closed", line=line))
