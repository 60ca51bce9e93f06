"""Detect the delimiter of a text table; two that fit equally well are an error."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from batch_enroll.column_lookup import name_key
from batch_enroll.errors import InputError
from batch_enroll.loading.header_detection import (
    HEAD_ROWS,
    HeaderCandidate,
    likely_header,
    names_found,
)
from batch_enroll.loading.stray_quotes import usual_shapes
from batch_enroll.messages import Message, cell_text, message

if TYPE_CHECKING:
    from _csv import Reader

SAMPLE_CHARACTERS = 1 << 16

_USUAL = (",", ";", "\t", "|")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_NEVER = "\x1f"  # a delimiter for a single column: the unit separator, which no spreadsheet writes
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[;,\t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_BETWEEN_NAMES = re.compile(r"(?<=\w)(?:[^\w\s\"',;|-]|[^\w\s\"']{2,3}| {2,})(?=\w)")
_CLEARLY_BETTER = 0.2
_TITLES_ABOVE = 0.3
_HARDLY_A_TABLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the csv module needs to know."""

    delimiter: str
    skipped_lines: int = 0  #: lines before the table: Excel's own `sep=;`
    skips_blanks: bool = False  #: blanks stand between delimiters and quotes

    @property
    def title(self) -> Message:
        """One phrase: how the cells are separated."""
        if self.delimiter == _NEVER:
            return message("input.single_column")
        return message("input.separated_by", delimiter=self.name)

    @property
    def name(self) -> Message:
        """The delimiter."""
        return _title(self.delimiter)

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Reader:
        """Split lines into cells."""
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=self.skips_blanks, strict=strict)

    def others(self) -> Iterator[Dialect]:
        """Iterate over the dialects with another usual delimiter."""
        for delimiter in _USUAL:
            if delimiter != self.delimiter:
                yield replace(self, delimiter=delimiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DelimiterCandidate:
    """How well one delimiter fits the sample."""

    delimiter: str
    width: int  #: columns of the likely header
    wanted: int  #: how many of the wanted names the header holds
    even: float  #: share of the rows below that are as wide as the header, 0 to 1; less if titles stand above it
    lacks_name: bool = False  #: the header has one name fewer than every row has cells


def find_dialect(sample: str, *, delimiter: str | None, wanted: Sequence[str]) -> Dialect:
    """Detect how the cells are separated.

    Args:
        sample: the beginning of the text, whole lines.
        delimiter: the one that the job names, if any.
    Raises:
        InputError: several delimiters fit, or the one that was named cannot be one.
    """
    separator = _SEP_LINE.match(sample)
    if delimiter is not None or separator:
        character = separator[1] if separator else ""
        character = character if delimiter is None else _parse_delimiter(delimiter)
        table = sample[separator.end() :] if separator else sample
        _check_names(_read(table, character, wanted, csv.QUOTE_MINIMAL))
        return _dialect(sample, character, skipped_lines=1 if separator else 0)
    likely = _list_candidates(sample, wanted, quoting=csv.QUOTE_MINIMAL)
    if wanted and not (likely and likely[0].wanted):
        _refuse_other_delimiters(sample, wanted)
    if not likely:
        return Dialect(delimiter=_NEVER)
    _check_names(likely[0])
    if likely[0].even < _HARDLY_A_TABLE:  # a quote that is never closed may hide the table
        likely = _list_candidates(sample, wanted, quoting=csv.QUOTE_NONE) or likely
    best = likely[0]
    rivals = [rival for rival in likely if best.even - rival.even < _CLEARLY_BETTER]
    if len(rivals) > 1:
        raise InputError(
            message(
                "input.ambiguous_delimiter", delimiters=_alternatives([_title(rival.delimiter) for rival in rivals])
            )
        )
    if best.even < _HARDLY_A_TABLE and not best.wanted:
        raise InputError(message("input.uneven_rows"))
    if best.even < _HARDLY_A_TABLE and (other := _delimiter_of_rows(sample, best.delimiter)):
        raise InputError(message("input.header_delimiter", header=_title(best.delimiter), rows=_title(other)))
    return _dialect(sample, best.delimiter)


def _dialect(sample: str, delimiter: str, *, skipped_lines: int = 0) -> Dialect:
    mark = re.escape(delimiter)
    skips = re.search(rf'(?:^|{mark}) +"[^"{mark}\r\n]', sample, re.MULTILINE) is not None
    return Dialect(delimiter=delimiter, skipped_lines=skipped_lines, skips_blanks=skips)


def _check_names(candidate: _DelimiterCandidate) -> None:
    if candidate.lacks_name:
        raise InputError(message("input.header_lacks_name", width=candidate.width, cells=candidate.width + 1))


def _refuse_other_delimiters(sample: str, wanted: Sequence[str]) -> None:
    """Refuse a table whose columns are there, but separated by something unusual."""
    keys = {name_key(name) for name in wanted}
    for line in islice(io.StringIO(sample), HEAD_ROWS):
        header = line.strip("\ufeff \r\n")
        if header[:1] == header[-1:] == '"' and header.count('"') == 2:
            cells = [cell for mark in _USUAL if mark in header for cell in header.strip('"').split(mark)]
            if keys & {name_key(cell) for cell in cells}:
                raise InputError(message("input.quoted_lines"))
        for between in dict.fromkeys(_BETWEEN_NAMES.findall(header)):
            if keys.isdisjoint(name_key(cell) for cell in header.split(between)):
                continue
            if not between.strip():
                raise InputError(message("input.fixed_width"))
            if len(between) > 1:
                raise InputError(message("input.long_delimiter", delimiter=between))
            raise InputError(message("input.unusual_delimiter", header=cell_text(header[:60]), delimiter=between))


def _delimiter_of_rows(sample: str, not_this: str) -> str | None:
    """Find a delimiter by which all rows have the same number of cells, whatever the header says."""
    for delimiter in _USUAL:
        candidate = _read(sample, delimiter, (), csv.QUOTE_MINIMAL)
        if delimiter != not_this and candidate.width > 1 and candidate.even + _TITLES_ABOVE >= 1:
            return delimiter
    return None


def _list_candidates(sample: str, wanted: Sequence[str], *, quoting: Literal[0, 3]) -> list[_DelimiterCandidate]:
    """Split the sample by each delimiter that occurs; keep those that find most names, the most even first."""
    candidates = [_read(sample, delimiter, wanted, quoting) for delimiter in _USUAL if delimiter in sample]
    most_wanted = max((candidate.wanted for candidate in candidates), default=0)
    likely = [candidate for candidate in candidates if candidate.width > 1 and candidate.wanted == most_wanted]
    return sorted(likely, key=lambda candidate: candidate.even, reverse=True)


def _read(sample: str, delimiter: str, wanted: Sequence[str], quoting: Literal[0, 3]) -> _DelimiterCandidate:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quoting=quoting)
    lines = [HeaderCandidate(number, cells) for number, cells in enumerate(reader, start=1)]
    lines = [line for line in lines if line.filled]
    if not lines:
        return _DelimiterCandidate(delimiter=delimiter, width=0, wanted=0, even=0)
    header = likely_header(lines[:HEAD_ROWS], wanted)
    width = len(header.cells)
    below = [line for line in lines if line.number > header.number] or [header]
    as_wide = sum(len(line.cells) == width or _trimmed(line.cells) == _trimmed(header.cells) for line in below)
    even = as_wide / len(below) - (_TITLES_ABOVE if header is not lines[0] else 0)
    return _DelimiterCandidate(
        delimiter=delimiter,
        width=width,
        wanted=names_found(header, wanted),
        even=even,
        lacks_name=len(below) > 1 and all(len(line.cells) == width + 1 for line in below) and _are_named(below),
    )


def _are_named(below: Sequence[HeaderCandidate]) -> bool:
    """Tell whether rows with one cell more than the header begin with their names, which R writes without a header.

    When every last cell is blank they may also just end with a delimiter: then the names must count the rows, beside a
    column of codes.
    """
    if any(line.cells[-1].strip() for line in below):
        return True
    counts = any([line.cells[0] for line in below] == [str(n + first) for n in range(len(below))] for first in (0, 1))
    return counts and usual_shapes([line.cells for line in below], 2).keys() == {0, 1}


def _trimmed(cells: Sequence[str]) -> int:
    """Count the cells up to the last that holds anything."""
    return max((index for index, cell in enumerate(cells, start=1) if cell.strip()), default=0)


def _parse_delimiter(delimiter: str) -> str:
    character = _NAMED.get(delimiter.lower(), delimiter)
    if len(character) != 1 or character in '"\r\n':
        raise InputError(message("input.bad_delimiter", delimiter=delimiter))
    return character


def _title(delimiter: str) -> Message:
    return message("input.tabs") if delimiter == "\t" else message("input.delimiter", delimiter=delimiter)


def _alternatives(titles: Sequence[Message]) -> Message:
    if len(titles) == 1:
        return titles[0]
    return message("input.or", first=titles[0], second=_alternatives(titles[1:]))
