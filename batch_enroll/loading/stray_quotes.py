"""Detect rows that a stray quote has merged into one quoted cell.

Both a long cell and merged rows are valid by RFC 4180, so this is a heuristic: a line counts as a row when, split
without regard to quotes, it has as many cells as the header, with addresses, numbers and codes in their usual columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from batch_enroll.column_lookup import visible

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NUMBER = re.compile(r"[+\d][\d\s().,:/-]*")
_CODE = re.compile(r"(?=\D*\d)\S+")
_USUAL_SHARE = 0.8


class QuoteShape(Enum):
    """The form of a cell's content."""

    BLANK = 0
    EMAIL = 1
    NUMBER = 2
    CODE = 3
    TEXT = 4


def classify_cell(cell: str) -> QuoteShape:
    """Classify a cell, without the quotes and blanks around it."""
    value = visible(cell).strip('" ')
    if not value:
        return QuoteShape.BLANK
    for pattern, kind in ((_EMAIL, QuoteShape.EMAIL), (_NUMBER, QuoteShape.NUMBER), (_CODE, QuoteShape.CODE)):
        if pattern.fullmatch(value):
            return kind
    return QuoteShape.TEXT


def usual_shapes(rows: Iterable[Sequence[str]], width: int) -> dict[int, QuoteShape]:
    """Find the columns that nearly always hold an address, a number or a code, and which of them."""
    rows = [row for row in rows if not any("\n" in cell or "\r" in cell for cell in row)]
    usual: dict[int, QuoteShape] = {}
    for column in range(width):
        counts = Counter(classify_cell(row[column]) for row in rows if column < len(row))
        del counts[QuoteShape.BLANK]
        if counts:
            kind, count = counts.most_common(1)[0]
            if kind is not QuoteShape.TEXT and count >= _USUAL_SHARE * counts.total():
                usual[column] = kind
    return usual


def looks_swallowed(lines: Sequence[str], *, delimiter: str, width: int, usual: Mapping[int, QuoteShape]) -> bool:
    """Tell whether the physical lines of one row (the first included) hold further rows."""
    if width == 1:
        return any(classify_cell(line) is usual.get(0) for line in lines[1:])
    parts = [line.rstrip("\r\n").split(delimiter) for line in lines]
    if not usual:  # nothing to compare with: as many cells in each line as in the header
        return all(len(cells) == width for cells in parts)
    return any(len(cells) == width and _fits(cells, usual) for cells in parts[1:])


def _fits(cells: Sequence[str], usual: Mapping[int, QuoteShape]) -> bool:
    shapes = {column: classify_cell(cells[column]) for column in usual}
    return any(kind is not QuoteShape.BLANK for kind in shapes.values()) and all(
        kind in (usual[column], QuoteShape.BLANK) for column, kind in shapes.items()
    )
