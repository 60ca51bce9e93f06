"""Recognise a header that stands again among the rows, also in other letters, another order or of another table."""

from __future__ import annotations

from collections.abc import Sequence

from batch_enroll.column_lookup import name_key
from batch_enroll.loading.header_detection import HeaderCandidate, Place, location
from batch_enroll.messages import message
from batch_enroll.models import Problem


class RepeatedHeaders:
    """Follows the rows of one table.

    Args:
        matching: position of the column that profiles are matched by; None = not known.
    """

    def __init__(self, header: HeaderCandidate, *, matching: int | None, place: Place) -> None:
        self._keys = [*map(name_key, header.cells)]
        self._place = place
        self._matching = matching
        self._other: int | None = None  # number of the last header with other columns
        self.at = matching or 0  #: position of a cell that holds a name in every such header
        self.names = frozenset(filter(None, (*self._keys, *(cell.lower() for cell in header.cells))))

    @property
    def is_below_other(self) -> bool:
        """The rows that follow belong to another header."""
        return self._other is not None

    def check(self, number: int, cells: Sequence[str]) -> Problem | None:
        """Check the next row; gives the problem of a header, or of a row that stands below one with other columns."""
        keys = [*map(name_key, cells)]
        if self._is_header(keys):
            self._other = None if [*filter(None, keys)] == [*filter(None, self._keys)] else number
            where = location(self._place, number, capital=True)
            text = "row.repeated_header" if self._other is None else "row.other_header"
            return Problem(code="repeated_header", message=message(text, place=where))
        if self._other is not None and any(keys):
            where, header = location(self._place, number, capital=True), location(self._place, self._other)
            return Problem(
                code="below_other_header", message=message("row.below_other_header", place=where, header=header)
            )
        return None

    def _is_header(self, keys: Sequence[str]) -> bool:
        if self._matching is not None and self._matching < len(keys):
            name = self._keys[self._matching]
            if name and keys[self._matching] == name:
                return True
        filled = [key for key in keys if key]
        return len(filled) > 1 and self.names.issuperset(filled) and len(set(filled)) == len(filled)
