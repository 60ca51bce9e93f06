"""Print text and tables with rich, on a terminal or into a log.

Text from outside is printed without markup and control characters.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Container, Sequence
from typing import IO, Literal

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from batch_enroll.messages.message_text import printable
from batch_enroll.models import RowStatus

STYLES: dict[str, str] = {
    RowStatus.SUCCESS: "green",
    RowStatus.ERROR: "red",
    RowStatus.UNKNOWN: "yellow",
    RowStatus.INVALID: "magenta",
    RowStatus.SKIPPED: "cyan",
    RowStatus.NOT_SENT: "blue",
}
_UNBROKEN = 100_000  # columns of a stream that is not a terminal: its lines are not broken


class TextScreen:
    """Prints to a terminal in its width and with colours, to other streams plainly with each sentence on one line.

    Args:
        width: wrap at this column although the stream is not a terminal.
    """

    def __init__(self, stream: IO[str], *, width: int | None = None) -> None:
        self._stream = stream
        self._console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
        if width is None and not self._console.is_terminal:
            self._console.width = _UNBROKEN
        unicode = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
        self.arrow = "→" if unicode else "->"

    @property
    def width(self) -> int:
        """Columns of the terminal; many more when it is none."""
        return self._console.width

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print a sentence, wrapped between words on a terminal."""
        self._write(Text(printable(text), style=style))

    def unbroken(self, text: str) -> None:
        """Print a path or a command, which is never wrapped here so that it can be copied."""
        self._console.print(Text(f"  {printable(text)}"), soft_wrap=True)

    def columns(
        self, lines: Sequence[Sequence[str]], *, right: Container[int] = (), styles: abc.Mapping[str, str] = STYLES
    ) -> None:
        """Print aligned columns; the last one takes the remaining width and is wrapped between words.

        Args:
            right: positions of the columns that hold numbers.
            styles: text of a cell -> its colour.
        """
        table = Table.grid(padding=(0, 2, 0, 0))
        width = max(map(len, lines), default=0)
        for position in range(width):
            justify: Literal["left", "right"] = "right" if position in right else "left"
            table.add_column(justify=justify, no_wrap=position < width - 1, overflow="fold")
        for line in lines:
            table.add_row(*(Text(printable(cell), style=styles.get(cell, "")) for cell in line))
        self._write(Padding.indent(table, 2))

    def _write(self, what: RenderableType) -> None:
        if self._console.is_terminal:
            self._console.print(what)
            return
        # rich pads the lines of a table to one width; a log does without those blanks.
        with self._console.capture() as capture:
            self._console.print(what)
        self._stream.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
