"""Lay out the pages of `--help`; examples and tables keep their lines."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from itertools import groupby

_WIDEST = 100  #: columns
_FLAG_COLUMNS = 30  #: width of the flags' column


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Paragraphs are filled, indented lines stay lines; one that is too long continues below its own text."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
        super().__init__(prog, max_help_position=_FLAG_COLUMNS, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for kind, lines in groupby(text.splitlines(), key=_kind):
            match kind:
                case "prose":
                    filled += textwrap.wrap(" ".join(lines), width)
                case "table":
                    filled += [part for line in lines for part in _wrapped(line, width)]
                case _:
                    filled += lines
        return "\n".join(indent + line for line in filled)


def _kind(line: str) -> str:
    if not line.strip():
        return "gap"
    return "table" if line.startswith(" ") else "prose"


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line that is too long; the rest is indented to its last column."""
    if len(line) <= width:
        return [line]
    columns = [column.end() for column in re.finditer(r"(?:^|\S) {2,}", line)]
    below = " " * (columns[-1] if columns and columns[-1] < width // 2 else 4)
    return textwrap.wrap(line, width, subsequent_indent=below, break_on_hyphens=False)
