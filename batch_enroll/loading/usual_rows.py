"""Learn from the first rows of a text table what its rows look like, to recognise rows whose cells have moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from batch_enroll.column_lookup import visible
from batch_enroll.loading.stray_quotes import QuoteShape, classify_cell, usual_shapes

_OFTEN = 0.8
_LINE_ENDS = ("\r\n", "\n", "\r")


class UsualRows:
    """The usual rows of one table.

    Attributes:
        width: cells of the header.
        shapes: columns that nearly always hold an address, a number or a code, and which of them.
    """

    def __init__(self, sample: Sequence[Sequence[str]], *, width: int) -> None:
        self.width = width
        filled = [cells for cells in sample if any(map(visible, cells))]
        self._cells = Counter(map(len, filled)).most_common(1)[0][0] if filled else width
        usual = [cells for cells in filled if len(cells) == self._cells] if self._cells >= width else filled
        self.shapes = usual_shapes(usual, width)
        last = [cells for cells in usual if len(cells) >= width and visible(cells[width - 1])]
        self._last_is_filled = len(last) >= _OFTEN * len(usual)
        self._begins_blank = any(cell[:1] == " " for cells in usual for cell in cells)

    def has_moved(self, cells: Sequence[str]) -> bool:
        """Tell whether values of a row with blank cells beyond the header may stand in a wrong column.

        An unquoted delimiter inside a cell moves the cells after it; the row looks whole when its last cell was blank.
        """
        named = cells[: self.width]
        if len(cells) <= self._cells and self.fits(named):
            return False  # all rows end with a delimiter
        is_after_blank = not self._begins_blank and any(cell[:1] == " " and cell.strip() for cell in named[1:])
        is_unusually_long = bool(visible(named[-1])) and not self._last_is_filled
        return is_after_blank or is_unusually_long or not self.fits(named)

    def fits(self, cells: Sequence[str]) -> bool:
        """Tell whether the cells have their usual shapes; a row may be short, and a cell blank."""
        return all(
            classify_cell(cells[column]) in (shape, QuoteShape.BLANK)
            for column, shape in self.shapes.items()
            if column < len(cells)
        )


def usual_line_end(text: str) -> str:
    """Find the line end that nearly all lines of a text have; "" when they are mixed."""
    crlf = text.count("\r\n")
    counts = dict(zip(_LINE_ENDS, (crlf, text.count("\n") - crlf, text.count("\r") - crlf), strict=True))
    end = max(counts, key=lambda end: counts[end])
    return end if counts[end] > _OFTEN * sum(counts.values()) else ""
