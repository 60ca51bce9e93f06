"""Find the cells of a sheet that are covered by a merged cell and have no value of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

from batch_enroll.column_lookup import column_letter

_RANGE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7}):\$?([A-Z]{1,3})\$?([0-9]{1,7})", re.IGNORECASE)


class Merge(NamedTuple):
    """A range of cells shown as one; rows count from 1, columns from 0, both ends belong to it."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int

    @classmethod
    def parse(cls, reference: str) -> Self | None:
        """Read a range such as A2:A3; None when it is none."""
        match = _RANGE.fullmatch(reference)
        if not match:
            return None
        left, top, right, bottom = match.groups()
        return cls(int(top), column_index(left), int(bottom), column_index(right))

    def __str__(self) -> str:
        """As a spreadsheet writes it."""
        first, last = column_letter(self.first_column), column_letter(self.last_column)
        return f"{first}{self.first_row}:{last}{self.last_row}"


class Merges:
    """The merged cells of one sheet, queried row by row."""

    def __init__(self, merges: Iterable[Merge]) -> None:
        self._waiting = sorted(merges, reverse=True)
        self._active: list[Merge] = []

    def covered(self, row: int) -> dict[int, Merge]:
        """Return the covered columns of a row; rows must be queried in order."""
        while self._waiting and self._waiting[-1].first_row <= row:
            self._active.append(self._waiting.pop())
        if not self._active:
            return {}
        self._active = [merge for merge in self._active if merge.last_row >= row]
        return {
            column: merge
            for merge in self._active
            for column in range(merge.first_column, merge.last_column + 1)
            if (row, column) != (merge.first_row, merge.first_column)
        }


def column_index(letters: str) -> int:
    """Give the position of a column from 0: A is 0, AA is 26."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
