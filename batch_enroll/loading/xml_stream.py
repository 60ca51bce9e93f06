"""Parse the XML inside workbooks as a stream; document types are refused, since attacks use their entities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, NoReturn
from xml.etree.ElementTree import Element, ParseError, iterparse
from xml.parsers import expat
from zipfile import ZipFile

from batch_enroll.errors import InputError
from batch_enroll.loading.unpacking import is_plausible_size
from batch_enroll.messages import message

_PROLOG_BYTES = 1 << 16
_MAX_HELD_BYTES = 1 << 26  # of XML; as elements they take up to twenty times as much
_MAX_ROW_BYTES = 1 << 23
_MAX_TEXT_BYTES = 1 << 20  # of XML; far more than the longest text of a cell takes
_LONGEST_SIGN_BYTES = 12  # &#x0010FFFF;
_LAST_SIGN = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,3}\Z")  # beyond ASCII, perhaps not whole


class HeldXml:
    """How much XML is held in memory as elements; who frees them, row by row, says so.

    Attributes:
        bytes: read since the last element was freed.
    """

    def __init__(self, *, most_bytes: int = _MAX_ROW_BYTES) -> None:
        self.bytes = 0
        self.most_bytes = most_bytes


def iter_xml(
    archive: ZipFile, part: str, *, events: Sequence[Literal["start", "end"]], held: HeldXml | None = None
) -> Iterator[tuple[str, Element]]:
    """Iterate over the elements of a part as `iterparse` does; of a text of more than 1 MB the rest is left out.

    Args:
        held: its bytes are counted here; the caller sets them to 0 when it frees the elements.
    Raises:
        ParseError: it is no XML, has a document type, or would take too much memory.
        InputError: it unpacks to an implausible size.
    """
    with open_part(archive, part) as file:
        _refuse_document_type(file.read(_PROLOG_BYTES))
    with open_part(archive, part) as file:
        yield from iterparse(_BoundedFile(file, held or HeldXml(most_bytes=_MAX_HELD_BYTES)), events=events)


def open_part(archive: ZipFile, part: str) -> IO[bytes]:
    """Open a part as bytes.

    Raises:
        InputError: it unpacks to an implausible size.
    """
    info = archive.getinfo(part)
    # What the archive says of the packed size may be wrong; a part never unpacks to more than the archive says.
    packed_bytes = min(info.compress_size, Path(archive.filename or "").stat().st_size)
    if not is_plausible_size(info.file_size, packed_bytes=packed_bytes):
        raise InputError(message("input.workbook_too_large"))
    return archive.open(info)


class _BoundedFile:
    """A part as `iterparse` reads it, without the rest of a text that is too long for any cell."""

    def __init__(self, file: IO[bytes], held: HeldXml) -> None:
        self._file = file
        self._held = held
        self._text_bytes = 0  # read since the last tag began

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._file.read(size)
        self._held.bytes += len(chunk)
        if self._held.bytes > self._held.most_bytes:
            raise ParseError("one row or one text has no end")
        tag = chunk.rfind(b"<")
        if tag >= 0:
            self._text_bytes = len(chunk) - tag
            return chunk
        self._text_bytes += len(chunk)
        return chunk if self._text_bytes <= _MAX_TEXT_BYTES else self._cut(chunk)

    def _cut(self, text: bytes) -> bytes:
        """End a text where a character ends, and read on to the next tag."""
        kept = text[: max(text.rfind(b"&"), 0)] if b"&" in text[-_LONGEST_SIGN_BYTES:] else text
        kept = _LAST_SIGN.sub(b"", kept)
        if len(text) - len(kept) > _LONGEST_SIGN_BYTES:
            raise ParseError("it holds a character without end")
        while text and (tag := text.find(b"<")) < 0:
            text = self._file.read(_PROLOG_BYTES)
        self._text_bytes = len(text) - max(tag, 0)
        return kept + text[tag:] if text else kept


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


class _PrologRead(Exception):
    """The root element was met."""


def _refuse_document_type(start: bytes) -> None:
    def stop(*_: object) -> NoReturn:
        raise _PrologRead

    def refuse(*_: object) -> NoReturn:
        raise ParseError("it has a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = stop
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(start)
    except _PrologRead:
        return
    except expat.ExpatError as error:
        raise ParseError(str(error)) from error
