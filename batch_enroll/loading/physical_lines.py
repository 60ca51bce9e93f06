"""Feed physical lines to the csv module and keep those of the current row, so that an unusual row can be reread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import TextIO

_BLOCK_LINES = 1_000
_MAX_BLOCKS = 12


class UnterminatedQuote(Exception):
    """A row has more than ten thousand lines: its closing quote is missing."""


class PhysicalLines:
    """Lines numbered from 1, whatever ends them: CR, LF or CRLF.

    Attributes:
        damaged: a line still in memory may hold a NUL or bytes that could not be decoded.
        exhausted: the text is at its end.
    """

    def __init__(self, stream: TextIO, *, is_damaged: bool) -> None:
        self._stream = stream
        self._blocks: deque[list[str]] = deque()
        self._first = 1  # number of the first line in memory
        self._is_damaged = is_damaged
        self.damaged = is_damaged
        self.exhausted = False

    def iter_lines(self) -> Iterator[str]:
        """Iterate over the lines; no Python code runs between two lines of a block."""
        return chain.from_iterable(self._read())

    def between(self, begin: int, end: int) -> list[str]:
        """Return the lines from `begin` to `end`, which were read and not yet forgotten."""
        return list(islice(chain.from_iterable(self._blocks), begin - self._first, end - self._first + 1))

    def forget(self, before: int) -> None:
        """Free the blocks of lines before this one."""
        while self._blocks and self._first + len(self._blocks[0]) <= before:
            self._first += len(self._blocks.popleft())

    def _read(self) -> Iterator[list[str]]:
        while block := list(islice(self._stream, _BLOCK_LINES)):
            if len(self._blocks) == _MAX_BLOCKS:
                raise UnterminatedQuote
            self._blocks.append(block)
            self.damaged = self._is_damaged or any("\0" in "".join(lines) for lines in self._blocks)
            yield block
        self.exhausted = True
