"""Recognise rows that are no profile: units or labels below the header, totals and report footers.

An id has no syntax of its own, so the usual shape of the column is learned from the first block of rows. At the edges
of the table a value of another shape is refused; in the middle it is only told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from batch_enroll.messages import message
from batch_enroll.models import Notice, Problem, Row

_FIRST_ROWS = 5
_MOST_ABOVE = 5  #: labels, units and types below the header
_MOST_BELOW = 20  #: lines of a report's footer
_USUAL_SHARE = 0.95
_LEAST_USUAL = 2
_BLOCK_ROWS = 1_000

_DIGIT = re.compile(r"\d")
_ALL_USUAL = re.compile(r"(?:[^\s\d]*\d\S*(?:\n|\Z))*")  # lines with a digit and without a blank
_TOTAL = re.compile(r"(?:grand |sub)?total|sum|summe|gesamt|count|итого|всего|сумма|итог", re.IGNORECASE)


class _Shape(NamedTuple):
    """What nearly all values of a column have in common."""

    has_digit: bool = False
    is_one_word: bool = False
    lengths: frozenset[int] = frozenset()  #: of values with letters; such a code may have no digit by chance

    @classmethod
    def learn(cls, values: Sequence[str]) -> _Shape:
        digits = [_DIGIT.search(value) is not None for value in values]
        words = [len(value.split()) == 1 for value in values]
        lettered = (value for value in values if not value.isdecimal() and value.isalnum() and _DIGIT.search(value))
        return cls(has_digit=_holds(digits), is_one_word=_holds(words), lengths=frozenset(map(len, lettered)))

    def is_unlike(self, value: str) -> bool:
        if not any(map(str.isalnum, value)):
            return True
        if self.is_one_word and len(value.split()) > 1:
            return True
        if self.has_digit and _DIGIT.search(value) is None:
            return not (value.isalnum() and len(value) in self.lengths)
        if (self.has_digit or self.is_one_word) and value[0] in "{[" and value[-1] in "}]":
            return True
        return self.is_one_word and _TOTAL.fullmatch(value.rstrip(":.")) is not None


class UnlikeRows:
    """Marks the rows of one table whose matching cell looks unlike the others.

    Args:
        at: position of the matching column.
        column: its name.
    """

    def __init__(self, *, at: int, column: str) -> None:
        self._at = at
        self._column = column
        self._shape = _Shape()
        self._numbers: list[int] = []
        self._count = 0

    def mark(self, blocks: Iterable[list[Row]]) -> Iterator[list[Row]]:
        """Iterate over the rows in blocks as before; one block is held back, to know the last rows."""
        held: list[Row] = []
        for block in blocks:
            if not held:
                held = self._start(block)
                continue
            if len(block) < _MOST_BELOW:  # the last one
                held += block
                continue
            self._tell(held)
            yield held[:_BLOCK_ROWS]
            if rest := held[_BLOCK_ROWS:]:
                yield rest
            held = block
        edge = self._unlike_from(reversed(held), most=_MOST_BELOW)
        held = self._refuse(held, edge)
        self._tell(held)
        for begin in range(0, len(held), _BLOCK_ROWS):
            yield held[begin : begin + _BLOCK_ROWS]

    def notices(self) -> tuple[Notice, ...]:
        """Tell of the rows in the middle of the table."""
        if not self._count:
            return ()
        said = message("row.unlike_rows", column=self._column, count=self._count)
        return (Notice(code="unlike_rows", message=said, rows=tuple(self._numbers), count=self._count),)

    def _start(self, block: list[Row]) -> list[Row]:
        self._shape = _Shape.learn([value for row in block if (value := self._value(row))])
        return self._refuse(block, self._unlike_from(block, most=_MOST_ABOVE))

    def _value(self, row: Row) -> str:
        """The cell to judge; "" when the row is refused anyway."""
        return "" if row.problems else row.cells[self._at].strip()

    def _unlike_from(self, rows: Iterable[Row], *, most: int) -> set[int]:
        """Give the numbers of the unlike rows before the first usual one; none when they are too many for an edge."""
        judged = ((row.number, value) for row in rows if (value := self._value(row)))
        edge = {number for number, _ in takewhile(lambda one: self._shape.is_unlike(one[1]), judged)}
        return edge if len(edge) <= most else set()

    def _refuse(self, rows: list[Row], numbers: set[int]) -> list[Row]:
        if not numbers or not any(row.number not in numbers and self._value(row) for row in rows):
            return rows
        return [self._refused(row) if row.number in numbers and self._value(row) else row for row in rows]

    def _refused(self, row: Row) -> Row:
        said = message("row.not_a_person", value=self._value(row)[:60], column=self._column)
        return row._replace(problems=(Problem(code="not_a_person", message=said, column=self._at),))

    def _tell(self, rows: list[Row]) -> None:
        shape = self._shape
        if not (shape.has_digit or shape.is_one_word):
            return
        values = [row.cells[self._at] for row in rows]
        if "".join(values).isdecimal() or (shape.has_digit and _ALL_USUAL.fullmatch("\n".join(values))):
            return
        for row in rows:
            if (value := self._value(row)) and shape.is_unlike(value):
                self._count += 1
                if len(self._numbers) < _FIRST_ROWS:
                    self._numbers.append(row.number)


def _holds(flags: Sequence[bool]) -> bool:
    """Tell whether nearly all flags are set, those at both edges apart."""
    if True not in flags:
        return False
    above, below = flags.index(True), flags[::-1].index(True)
    core = flags[above : len(flags) - below]
    is_enough = len(core) >= max(_LEAST_USUAL, above + below)
    return is_enough and above <= _MOST_ABOVE and below <= _MOST_BELOW and sum(core) >= _USUAL_SHARE * len(core)
