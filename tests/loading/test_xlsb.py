"""A binary workbook (.xlsb), written here record by record, since no library writes one."""

from __future__ import annotations

import io
import struct
import zipfile

CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>'
)
RELATION = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" '
    'Target="{target}"/></Relationships>'
)


def record(kind: int, content: bytes = b"") -> bytes:
    """One record; its kind and size are numbers of seven bits a byte. Source: [MS-XLSB] section 2.1.4."""
    kinds = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return kinds + bytes([len(content)]) + content


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb(rows: list[list[str | float]]) -> bytes:
    cells = b""
    for number, row in enumerate(rows):
        cells += record(0, struct.pack("<IIHHBI", number, 0, 300, 0, 0, 0))
        for column, value in enumerate(row):
            place = struct.pack("<II", column, 0)
            is_text = isinstance(value, str)
            cells += record(6, place + wide(str(value))) if is_text else record(5, place + struct.pack("<d", value))
    sheet = record(129) + record(148, struct.pack("<4I", 0, len(rows) - 1, 0, 1)) + record(145) + cells
    sheet += record(146) + record(130)
    book = record(131) + record(143) + record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("Leads"))
    book += record(144) + record(132)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATION.format(kind="officeDocument", target="xl/workbook.bin"))
        archive.writestr("xl/workbook.bin", book)
        relation = RELATION.format(kind="worksheet", target="worksheets/sheet1.bin")
        archive.writestr("xl/_rels/workbook.bin.rels", relation)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return out.getvalue()


def test_xlsb_is_read_and_its_limits_are_reported(load):
    loaded = load(xlsb([["id", "n"], ["000123", 1001.0], ["x", 0.5]]))
    assert loaded.cells == [("000123", "1001"), ("x", "0.5")]
    assert loaded.numbers == [2, 3]
    assert str(loaded.table.form) == "Excel workbook (.xlsb), sheet 'Leads'"
    assert "errors, hidden rows" in str(loaded.notices["unseen"].message)
