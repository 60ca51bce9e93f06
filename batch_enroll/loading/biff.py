"""What an .xls holds that calamine does not tell: errors, hidden rows and columns, display formats.

In: the bytes of the file. Out: notes on the cells of one sheet. Never: a cell's value, which pandas reads.

Source: [MS-CFB] for the container, [MS-XLS] section 2.4 for the records. A file that does not follow them gives no
notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from struct import error as StructError
from struct import unpack_from

from batch_enroll.loading.cells import BUILT_IN_FORMATS, UNKNOWN_FORMAT

_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_ROW_HIDDEN, _COLUMN_HIDDEN = 0x20, 0x01
_IS_ERROR = 2  # kind of a formula's result
_NO_SECTOR = 0xFFFFFFF0  # numbers from here on end a chain
_SECTORS_IN_HEADER = 109


class _Record(IntEnum):
    FORMULA = 0x06
    END = 0x0A
    COLUMNS = 0x7D
    SHEET = 0x85
    SMALL_NUMBERS = 0xBD
    CELL_STYLE = 0xE0
    NUMBER = 0x203
    ERROR_OR_BOOLEAN = 0x205
    ROW = 0x208
    SMALL_NUMBER = 0x27E
    FORMAT = 0x41E


@dataclass(slots=True)
class Notes:
    """What is to know about the cells of a sheet; rows and columns count from 0."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    formats: dict[tuple[int, int], str] = field(default_factory=dict)  #: of the cells that hold a number
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)


def read_notes(data: bytes, sheet: str) -> Notes | None:
    """Go through the records of a sheet; None when they cannot be found."""
    try:
        book = _Container(data).workbook()
        formats, sheets = _globals(book)
        return _notes(book, sheets[sheet], formats)
    except (StructError, LookupError, ValueError):
        return None


def _notes(book: bytes, begin: int, formats: list[str]) -> Notes:
    notes = Notes()
    for record, place, size in _records(book, begin):
        match record:
            case _Record.ROW:
                row, *_, flags = unpack_from("<7H", book, place)
                if flags & _ROW_HIDDEN:
                    notes.hidden_rows.add(row)
            case _Record.COLUMNS:
                first, last, _, _, flags = unpack_from("<5H", book, place)
                if flags & _COLUMN_HIDDEN:
                    notes.hidden_columns.update(range(first, last + 1))
            case _Record.ERROR_OR_BOOLEAN:
                row, column, _, code, is_error = unpack_from("<3H2B", book, place)
                if is_error:
                    notes.errors[row, column] = _ERRORS.get(code, "#VALUE!")
            case _Record.FORMULA:
                row, column, style, kind, code, is_special = unpack_from("<3HBxBxxxH", book, place)
                if is_special == 0xFFFF and kind == _IS_ERROR:
                    notes.errors[row, column] = _ERRORS.get(code, "#VALUE!")
                elif is_special != 0xFFFF:
                    notes.formats[row, column] = formats[style]
            case _Record.NUMBER | _Record.SMALL_NUMBER:
                row, column, style = unpack_from("<3H", book, place)
                notes.formats[row, column] = formats[style]
            case _Record.SMALL_NUMBERS:
                row, first = unpack_from("<2H", book, place)
                for offset in range((size - 6) // 6):
                    (style,) = unpack_from("<H", book, place + 4 + 6 * offset)
                    notes.formats[row, first + offset] = formats[style]
    return notes


def _globals(book: bytes) -> tuple[list[str], dict[str, int]]:
    """Read the display format of each cell style, and where each sheet begins."""
    codes, styles, sheets = dict(BUILT_IN_FORMATS), [], {}
    for record, place, _ in _records(book, 0):
        match record:
            case _Record.FORMAT:
                number, length = unpack_from("<2H", book, place)
                codes[number] = _text(book, place + 4, length)
            case _Record.CELL_STYLE:
                styles.append(unpack_from("<H", book, place + 2)[0])
            case _Record.SHEET:
                begin, _, length = unpack_from("<IHB", book, place)
                sheets[_text(book, place + 7, length)] = begin
    return [codes.get(number, UNKNOWN_FORMAT) for number in styles], sheets


def _text(book: bytes, place: int, length: int) -> str:
    is_wide = book[place] & 1
    raw = book[place + 1 : place + 1 + length * (1 + is_wide)]
    return raw.decode("utf-16-le" if is_wide else "latin-1")


def _records(book: bytes, place: int) -> Iterator[tuple[int, int, int]]:
    """Give (kind, place of the content, size) up to the end of the part that begins at `place`."""
    while place + 4 <= len(book):
        record, size = unpack_from("<2H", book, place)
        if record == _Record.END:
            return
        yield record, place + 4, size
        place += 4 + size


class _Container:
    """The file system inside an old Office file: streams whose sectors are chained by a table."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = 1 << unpack_from("<H", data, 30)[0]
        self._after = self._chains()
        folder = self._stream(unpack_from("<I", data, 48)[0])
        self._streams: dict[str, tuple[int, int]] = {}
        for place in range(0, len(folder) - 127, 128):
            (length,), (start, size) = unpack_from("<H", folder, place + 64), unpack_from("<2I", folder, place + 116)
            self._streams[folder[place : place + length].decode("utf-16-le", "replace").rstrip("\0")] = (start, size)

    def workbook(self) -> bytes:
        """The stream that holds the sheets."""
        start, size = self._streams["Workbook" if "Workbook" in self._streams else "Book"]
        return self._stream(start)[:size]

    def _chains(self) -> list[int]:
        """Read the table that names for each sector the one after it."""
        sectors = len(self._data) // self._size
        tables = [*unpack_from(f"<{_SECTORS_IN_HEADER}I", self._data, 76)]
        (more,) = unpack_from("<I", self._data, 68)
        while more < _NO_SECTOR:
            *numbers, more = self._sector(more)
            tables += numbers
            if len(tables) > sectors + _SECTORS_IN_HEADER:
                raise ValueError("a chain of sectors without an end")
        return [number for table in tables if table < _NO_SECTOR for number in self._sector(table)]

    def _sector(self, number: int) -> tuple[int, ...]:
        return unpack_from(f"<{self._size // 4}I", self._data, (number + 1) * self._size)

    def _stream(self, sector: int) -> bytes:
        content = bytearray()
        while sector < _NO_SECTOR:
            content += self._data[(sector + 1) * self._size : (sector + 2) * self._size]
            sector = self._after[sector]
            if len(content) % self._size:
                raise ValueError("the file is cut off")
            if len(content) > len(self._data):
                raise ValueError("a chain of sectors without an end")
        return bytes(content)
