"""Read delimited text files (CSV, TSV), each row with the physical line on which it begins.

The loop over ordinary rows does almost nothing beside the csv module; an unusual row (more than one line, another
number of cells, a blank first cell, damaged bytes) is checked by slower code.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from batch_enroll.column_lookup import column_title, visible
from batch_enroll.errors import InputError
from batch_enroll.loading.csv_dialect import SAMPLE_CHARACTERS, Dialect
from batch_enroll.loading.encoding_detection import Encoding, readable, undecodable
from batch_enroll.loading.header_detection import HEAD_ROWS, HeaderCandidate, Place
from batch_enroll.loading.input_table import BLOCK_ROWS
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.loading.repeated_header import RepeatedHeaders
from batch_enroll.loading.stray_quotes import looks_swallowed
from batch_enroll.loading.text_damage import has_damage
from batch_enroll.loading.usual_rows import UsualRows, usual_line_end
from batch_enroll.messages import Message, message
from batch_enroll.models import Problem, Row

if TYPE_CHECKING:
    from _csv import Reader

_MAX_CELL_CHARS = 1_000_000
_MAX_LINE_CHARS = 8 * _MAX_CELL_CHARS
_CHUNK_CHARS = 1 << 16
_LINE_END = re.compile("[\r\n]")
_SHOWN_CHARACTERS = 40
_SHORT_ROWS = message("input.short_rows")  # made once: it may concern every row


class DelimitedReader:
    """Rows of one text file."""

    place: Place = "line"
    sheet: str | None = None
    may_be_damaged = False

    def __init__(self, path: Path, *, encoding: Encoding, dialect: Dialect) -> None:
        csv.field_size_limit(_MAX_CELL_CHARS)  # the default refuses a note of 140,000 characters
        self._path = path
        self._encoding = encoding
        self._dialect = dialect
        self.form = message("input.text_form", encoding=encoding.title, delimiter=dialect.title)

    def lines(self) -> Iterator[HeaderCandidate]:
        """Iterate over the rows as stored, without checking them."""
        with self._encoding.open(self._path) as stream:
            lines = _PhysicalLines(stream, self._dialect, is_damaged=False)
            reader = self._dialect.reader(lines.iter_lines())
            begin = 1
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error:  # a cell is too long: `blocks` says so
                    cells = []
                if cells is None:
                    return
                if begin > self._dialect.skipped_lines:
                    yield HeaderCandidate(begin, cells)
                begin = reader.line_num + 1
                lines.forget(begin)

    def blocks(self, header: HeaderCandidate, warnings: ReaderWarnings) -> Iterator[list[Row]]:
        """Iterate over the rows below the header."""
        below = (line.cells for line in self.lines() if line.number > header.number)
        usual = UsualRows([*islice(below, HEAD_ROWS)], width=len(header.cells))
        with self._encoding.open(self._path) as stream:
            line_end = usual_line_end(stream.read(SAMPLE_CHARACTERS))
        with self._encoding.open(self._path) as stream:
            lines = _PhysicalLines(stream, self._dialect, is_damaged=self._encoding.errors != "strict")
            for rows in _RowIterator(lines, self._dialect, header, usual, line_end, warnings).blocks():
                self.may_be_damaged = lines.may_be_damaged
                yield rows


class _RowIterator:
    """Iterates once over the lines of a text table."""

    def __init__(
        self,
        lines: _PhysicalLines,
        dialect: Dialect,
        header: HeaderCandidate,
        usual: UsualRows,
        line_end: str,
        warnings: ReaderWarnings,
    ) -> None:
        self._lines = lines
        self._dialect = dialect
        self._delimiter = dialect.delimiter
        self._header = header
        self._headers = RepeatedHeaders(header, matching=warnings.matching, place="line")
        self._width = len(header.cells)
        self._usual = usual
        self._line_end = line_end
        self._warnings = warnings
        self._short: tuple[int, int] = (0, 0)  # the last short row: its line, and the cells of it and of those before

    def blocks(self) -> Iterator[list[Row]]:
        lines, width, names, at = self._lines, self._width, self._headers.names, self._headers.at
        reader = self._dialect.reader(lines.iter_lines(), strict=True)
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
                        and cells[at].lower() not in names
                        and not lines.unusual
                    ):
                        rows.append(Row(begin, tuple(cells)))
                    elif row := self._check_unusual_row(begin, end, cells):
                        if broken := self._broken_in_two(rows[-1] if rows else None, row, cells):
                            rows[-1], row = broken
                        rows.append(row)
                    begin = end + 1
                    if len(rows) > BLOCK_ROWS:
                        lines.forget(begin - 1)
                        yield rows[:-1]
                        rows = rows[-1:]  # may be the first half of a broken row
                done = True
            except csv.Error:
                end = reader.line_num
                rows.append(self._broken_row(begin, end))
                begin = end + 1
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
        return begin

    def _check_unusual_row(self, begin: int, end: int, cells: list[str]) -> Row | None:
        """Build a row whose cells are unusual in some way; None when it is blank."""
        if not any(map(visible, cells)) and not any("\0" in cell for cell in cells):
            return None
        if undecodable("".join(cells)):
            return self._undecodable(begin, end, cells)
        repeated = self._headers.check(begin, cells)
        self._lines.unusual_rows = self._headers.is_below_other
        problems = [
            *([repeated] if repeated else ()),
            *self._check_quotes(begin, end, cells),
            *self._check_width(begin, end, cells),
            *self._check_bytes(begin, cells),
        ]
        self._lines.forget(begin - 1)  # the line before may be the first half of this row
        return Row(number=begin, cells=self._fit(cells), problems=tuple(problems))

    def _fit(self, cells: Sequence[str]) -> tuple[str, ...]:
        missing = self._width - len(cells)
        return (*cells, *[""] * missing) if missing >= 0 else tuple(cells[: self._width])

    def _check_quotes(self, begin: int, end: int, cells: Sequence[str]) -> Iterator[Problem]:
        if not self._dialect.skips_blanks and any(cell[:1] == " " and cell.lstrip()[:1] == '"' for cell in cells):
            yield self._stray_quote(begin, message("row.blank_before_quote", line=begin))
        if begin == end:
            return
        lines = self._lines.between(begin, end)
        if looks_swallowed(lines, delimiter=self._delimiter, width=self._width, usual=self._usual.shapes):
            yield self._stray_quote(begin, message("row.swallowed_rows", line=begin, lines=_lines(begin, end)))

    def _check_width(self, begin: int, end: int, cells: Sequence[str]) -> Iterator[Problem]:
        extra = cells[self._width :]
        if any(map(visible, extra)) or (extra and self._usual.has_moved(cells)):
            yield Problem(
                code="too_many_cells",
                message=message(
                    "row.too_many_cells",
                    line=begin,
                    cells=len(cells),
                    width=self._width,
                    extra=", ".join(map(repr, extra))[:_SHOWN_CHARACTERS],
                ),
            )
        elif len(cells) < self._width:
            if not self._lines.between(end, end)[0].endswith(("\r", "\n")):
                yield self._cut_off(begin, message("row.cut_off", line=begin, cells=len(cells), width=self._width))
            elif other := self._other_delimiter(begin, end):
                why = message("row.other_delimiter", line=begin, delimiter=other)
                yield Problem(code="other_delimiter", message=why)
            else:
                self._warnings.add("short_rows", _SHORT_ROWS, row=begin, columns=range(len(cells), self._width))

    def _other_delimiter(self, begin: int, end: int) -> Message | None:
        """Find the delimiter by which a short row has as many cells as the header."""
        lines = self._lines.between(begin, end)
        for other in self._dialect.others():
            cells = next(other.reader(lines), [])
            if len(cells) == self._width and self._usual.fits(cells):
                return other.name
        return None

    def _broken_in_two(self, before: Row | None, row: Row, cells: Sequence[str]) -> tuple[Row, Row] | None:
        """Recognise the halves of a row that a line break divides; returns both, with the problem added."""
        number, count, width = row.number, len(cells), self._width
        if self._has_other_end(number):
            self._lines.unusual = True  # the next row may be the other half
        if before is None or before.number != number - 1 or count > width:
            self._short = (number, count)
            return None
        earlier = self._short[1] if self._short[0] == number - 1 else width
        together = earlier + count - 1
        is_odd = count < width and not self._usual.fits(cells)
        has_other_end = self._has_other_end(number - 1)
        is_half = is_odd and earlier < width and together <= width
        is_tail = is_odd and count == 1 and earlier == width and self._is_followed(number)
        is_broken = is_half or is_tail or (has_other_end and together == width)
        self._short = (number, together if is_broken else count)
        if not is_broken:
            return None
        why = message("row.broken_row", first=number - 1, last=number)
        problem = Problem(code="broken_row", message=why)
        is_first_refused = not is_tail or has_other_end or self._warnings.is_used(width - 1)
        return _with_problem(before, problem) if is_first_refused else before, _with_problem(row, problem)

    def _has_other_end(self, number: int) -> bool:
        """Tell whether a line ends unlike nearly all others."""
        line = self._lines.between(number, number)
        return bool(self._line_end and line and not _ends_with(line[0], self._line_end))

    def _is_followed(self, number: int) -> bool:
        """Tell whether the line after this one is a usual row."""
        following = next(self._dialect.reader(self._lines.between(number + 1, number + 1)), [])
        return len(following) == self._width and self._usual.fits(following)

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
        try:
            cells = [readable(cell) for cell in next(self._dialect.reader(lines))]
        except csv.Error:
            return self._too_long(begin, lines)
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

    def _too_long(self, begin: int, lines: Sequence[str]) -> Row:
        """Build a row with a cell that is too long: one line, since over several lines a closing quote is missing."""
        if len(lines) > 1 or lines[0].count('"') % 2:
            raise _unclosed_quote(begin)
        cells = next(self._dialect.reader([lines[0][:_MAX_CELL_CHARS]]))[:-1]  # the last one is not whole
        why = message("row.cell_too_long", line=begin, count=_MAX_CELL_CHARS)
        problem = Problem(code="cell_too_long", message=why)
        return Row(number=begin, cells=self._fit([*map(readable, cells)]), problems=(problem,))

    def _stray_quote(self, begin: int, why: Message) -> Problem:
        self._warnings.add("stray_quote", message("input.stray_quote"), row=begin)
        return Problem(code="stray_quote", message=why)

    def _cut_off(self, begin: int, why: Message) -> Problem:
        self._warnings.add("cut_off", message("input.cut_off", line=begin), row=begin)
        return Problem(code="cut_off", message=why)


class _PhysicalLines:
    """Lines numbered from 1, whatever ends them (CR, LF or CRLF); those of the current row can be reread.

    Attributes:
        unusual: a line still in memory may hold a NUL, bytes that could not be decoded or a quote after a blank, or
            every row is to be checked.
        unusual_rows: every row is to be checked.
        may_be_damaged: a line read so far may hold a damaged cell.
        exhausted: the text is at its end.
    """

    def __init__(self, stream: TextIO, dialect: Dialect, *, is_damaged: bool) -> None:
        self._stream = stream
        self._blank_before_quote = "\0" if dialect.skips_blanks else f'{dialect.delimiter} "'
        self._blocks: deque[list[str]] = deque()
        self._first = 1  # number of the first line in memory
        self._is_damaged = is_damaged
        self.unusual = is_damaged
        self.exhausted = False
        self.may_be_damaged = is_damaged

    @property
    def unusual_rows(self) -> bool:
        return self._is_damaged

    @unusual_rows.setter
    def unusual_rows(self, value: bool) -> None:
        if value:
            self.unusual = self._is_damaged = True

    def iter_lines(self) -> Iterator[str]:
        """Iterate over the lines; no Python code runs between two lines of a block."""
        return chain.from_iterable(self._read())

    def between(self, begin: int, end: int) -> list[str]:
        """Return the lines from `begin` to `end`; none when they are forgotten."""
        if begin < self._first:
            return []
        return list(islice(chain.from_iterable(self._blocks), begin - self._first, end - self._first + 1))

    def forget(self, before: int) -> None:
        """Free the blocks of lines before this one."""
        while self._blocks and self._first + len(self._blocks[0]) <= before:
            self._first += len(self._blocks.popleft())

    def _is_unusual(self, text: str) -> bool:
        return "\0" in text or self._blank_before_quote in text

    def _read(self) -> Iterator[list[str]]:
        rest = ""  # a line of which more may come
        while chunk := self._stream.read(_CHUNK_CHARS):
            rest += chunk
            if len(rest) > _MAX_LINE_CHARS:
                rest = self._shortened(rest)
            elif "\n" not in chunk and "\r" not in chunk:
                continue
            *block, rest = io.StringIO(rest, newline="")
            yield self._keep(block)
        yield self._keep([*io.StringIO(rest, newline="")])
        self.exhausted = True

    def _keep(self, block: list[str]) -> list[str]:
        self._blocks.append(block)
        self.may_be_damaged = self.may_be_damaged or has_damage("".join(block))
        self.unusual = self._is_damaged or any(map(self._is_unusual, map("".join, self._blocks)))
        return block

    def _shortened(self, text: str) -> str:
        """Shorten a line without end, so that it has a cell that is too long, and as many quotes, odd or even."""
        kept, text = text[:_MAX_LINE_CHARS], text[_MAX_LINE_CHARS:]
        quotes = 0
        while text and (end := _LINE_END.search(text)) is None:
            quotes += text.count('"')
            text = self._stream.read(_CHUNK_CHARS)
        place = end.start() if text and end else 0
        quotes += text.count('"', 0, place)
        return "".join((kept, "x" * (_MAX_CELL_CHARS + 1), '"' * (quotes % 2), text[place:]))


def _ends_with(line: str, line_end: str) -> bool:
    return line.endswith(line_end) and (line_end == "\r\n" or not line.endswith("\r\n"))


def _with_problem(row: Row, problem: Problem) -> Row:
    if any(known.code == problem.code for known in row.problems):
        return row
    return row._replace(problems=(*row.problems, problem))


def _lines(first: int, last: int) -> Message:
    return message("row.lines", first=first, last=last) if last > first else message("row.line", line=first)


def _unclosed_quote(line: int) -> InputError:
    return InputError(message("input.quote_not_closed", line=line))
