"""Detect the delimiter of a text table; two that fit equally well are an error."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from batch_enroll.errors import InputError
from batch_enroll.loading.header_detection import (
    HEAD_ROWS,
    HeaderCandidate,
    likely_header,
    names_found,
)
from batch_enroll.messages import Message, message

SAMPLE_CHARACTERS = 1 << 16

_USUAL = (",", ";", "\t", "|")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_NEVER = "\x1f"  # a delimiter for a single column: the unit separator, which no spreadsheet writes
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[;,\t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_CLEARLY_BETTER = 0.2
_TITLES_ABOVE = 0.3
_HARDLY_A_TABLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the csv module needs to know."""

    delimiter: str
    skipped_lines: int = 0  #: lines before the table: Excel's own `sep=;`

    @property
    def title(self) -> Message:
        """One phrase: how the cells are separated."""
        if self.delimiter == _NEVER:
            return message("input.single_column")
        return message("input.separated_by", delimiter=_title(self.delimiter))


@dataclass(frozen=True, slots=True, kw_only=True)
class _DelimiterCandidate:
    """How well one delimiter fits the sample."""

    delimiter: str
    width: int  #: columns of the likely header
    wanted: int  #: how many of the wanted names the header holds
    even: float  #: share of the rows below that are as wide as the header, 0 to 1; less if titles stand above it


def find_dialect(sample: str, *, delimiter: str | None, wanted: Sequence[str]) -> Dialect:
    """Detect how the cells are separated.

    Args:
        sample: the beginning of the text, whole lines.
        delimiter: the one that the job names, if any.
    Raises:
        InputError: several delimiters fit, or the one that was named cannot be one.
    """
    separator = _SEP_LINE.match(sample)
    if delimiter is not None:
        return Dialect(delimiter=_parse_delimiter(delimiter), skipped_lines=1 if separator else 0)
    if separator:
        return Dialect(delimiter=separator[1], skipped_lines=1)
    likely = _list_candidates(sample, wanted, quoting=csv.QUOTE_MINIMAL)
    if not likely:
        return Dialect(delimiter=_NEVER)
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
    return Dialect(delimiter=best.delimiter)


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
    return _DelimiterCandidate(delimiter=delimiter, width=width, wanted=names_found(header, wanted), even=even)


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
