"""Read the parts of an .xlsx package beside the cells: sheets, shared texts, display formats, date system.

Source: ECMA-376 part 1 (SpreadsheetML) and part 2 (packages).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import IO, Literal
from xml.etree.ElementTree import Element, ParseError
from zipfile import ZipFile

from batch_enroll.errors import InputError
from batch_enroll.loading.cell_text import BUILT_IN_FORMATS, UNKNOWN_FORMAT, Format, format_of
from batch_enroll.loading.sheet_selection import Sheet
from batch_enroll.loading.xml_stream import HeldXml, iter_xml, local_name, open_part
from batch_enroll.messages import message

_MAX_TEXTS_BYTES = 1 << 30  # shared texts stay in memory
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Package:
    """An opened .xlsx or .xlsm."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._names = {name.replace("\\", "/").lstrip("/").lower(): name for name in archive.namelist()}
        root = self._relations("")
        self._book = next((target for kind, target in root.values() if kind == "officeDocument"), "xl/workbook.xml")
        self._parts = self._relations(self._book)
        self.counts_from_1904 = False
        self.recalculates = False  #: the formulas' results are to be computed when it is opened
        self.sheets = self._read_book()

    def formats(self) -> list[tuple[Format, str]]:
        """List the number format of each cell style, by position: its kind and its code."""
        custom: dict[int, str] = {}
        formats: list[tuple[Format, str]] = []
        for part in self._find_parts("styles"):
            in_cells = False
            for event, element in self.elements(part, events=("start", "end")):
                tag = local_name(element)
                if tag == "cellXfs":
                    in_cells = event == "start"
                elif event == "start" and tag == "numFmt":
                    custom[int(element.get("numFmtId", "0"))] = element.get("formatCode", "")
                elif event == "start" and tag == "xf" and in_cells:
                    number = int(element.get("numFmtId", "0"))
                    code = custom.get(number) or BUILT_IN_FORMATS.get(number, UNKNOWN_FORMAT)
                    formats.append((format_of(code), code))
        return formats

    def texts(self) -> list[str]:
        """List the shared texts, to which cells refer by position."""
        texts: list[str] = []
        for part in self._find_parts("sharedStrings"):
            if self._archive.getinfo(self._stored(part)).file_size > _MAX_TEXTS_BYTES:
                raise InputError(message("input.workbook_too_large"))
            root: Element | None = None
            held = HeldXml()
            for event, element in self.elements(part, events=("start", "end"), held=held):
                if root is None:
                    root = element
                elif event == "end" and local_name(element) == "si":
                    texts.append(rich_text(element))
                    root.clear()
                    held.bytes = 0
        return texts

    def elements(
        self, part: str, *, events: Sequence[Literal["start", "end"]], held: HeldXml | None = None
    ) -> Iterator[tuple[str, Element]]:
        """Iterate over the XML elements of a part, as `iter_xml` does."""
        return iter_xml(self._archive, self._stored(part), events=events, held=held)

    def open(self, part: str) -> IO[bytes]:
        """Open a part as bytes."""
        return open_part(self._archive, self._stored(part))

    def _stored(self, part: str) -> str:
        if part.lower() not in self._names:
            raise ParseError(f"no part {part}")
        return self._names[part.lower()]

    def _find_parts(self, kind: str) -> list[str]:
        return [target for found, target in self._parts.values() if found == kind][:1]

    def _read_book(self) -> list[Sheet]:
        sheets = []
        for _, element in self.elements(self._book, events=("start",)):
            match local_name(element):
                case "workbookPr":
                    self.counts_from_1904 = element.get("date1904") in ("1", "true")
                case "calcPr":
                    self.recalculates = element.get("fullCalcOnLoad") in ("1", "true")
                case "sheet":
                    link = next((value for key, value in element.items() if key.endswith("}id")), "")
                    kind, part = self._parts.get(link, ("", ""))
                    if kind == "worksheet":
                        is_visible = element.get("state", "visible") == "visible"
                        sheets.append(Sheet(name=element.get("name", ""), is_visible=is_visible, part=part))
        return sheets

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Read the relationships of a part: id -> (last component of the type, target part)."""
        folder, name = posixpath.split(part)
        listing = posixpath.join(folder, "_rels", f"{name}.rels")
        if listing.lower() not in self._names:
            return {}
        return {
            element.get("Id", ""): (
                posixpath.basename(element.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", "").replace("\\", "/"))).lstrip(
                    "/"
                ),
            )
            for _, element in self.elements(listing, events=("start",))
            if local_name(element) == "Relationship"
        }


def rich_text(element: Element) -> str:
    """Join the runs of a text; the phonetic guides for Japanese (`rPh`) are left out."""
    texts = []
    for child in element:
        match local_name(child):
            case "t":
                texts.append(child.text or "")
            case "r":
                texts.extend(run.text or "" for run in child if local_name(run) == "t")
    return unescape("".join(texts))


def unescape(text: str) -> str:
    """Turn `_x000D_` back into the character that XML cannot hold."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def _character(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return escape[0] if "\ud800" <= character <= "\udfff" else character
