"""Parse the XML inside workbooks as a stream; document types are refused, since attacks use their entities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NoReturn
from xml.etree.ElementTree import Element, ParseError, iterparse
from xml.parsers import expat
from zipfile import ZipFile

_PROLOG_BYTES = 1 << 16


def iter_xml(
    archive: ZipFile, part: str, *, events: Sequence[Literal["start", "end"]]
) -> Iterator[tuple[str, Element]]:
    """Iterate over the elements of a part as `iterparse` does.

    Raises:
        ParseError: it is no XML, or has a document type.
    """
    with archive.open(part) as file:
        _refuse_document_type(file.read(_PROLOG_BYTES))
    with archive.open(part) as file:
        yield from iterparse(file, events=events)


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
