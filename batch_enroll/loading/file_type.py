"""What a file is, told by its bytes and not by its name.

In: the beginning of a file (for a zip its list of names, for an old Office file its folders). Out: the kind. Never: a
guess by the name, but for the lock files of Office, which hold nothing to tell them by.
"""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from pathlib import Path
from struct import unpack_from
from zipfile import BadZipFile, ZipFile

from batch_enroll.errors import InputError


class FileType(StrEnum):
    """The kinds that can be read, as people call them."""

    TEXT = "CSV"
    XLSX = "Excel workbook (.xlsx)"
    XLSB = "Excel workbook (.xlsb)"
    XLS = "Excel workbook (.xls)"
    ODS = "OpenDocument spreadsheet (.ods)"
    LOCKED = "Excel workbook, protected with a password"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip archive"


START_BYTES = 1 << 13  #: enough of a file to tell what it is
_ZIP = b"PK"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FEW_CONTROLS = 8  # a small table may have a few damaged cells
_MAX_CONTROL_SHARE = 0.02
_MAX_NUL_SHARE = 0.2
_MIN_WIDE_SHARE = 0.04

_PACKED = {b"\x1f\x8b": FileType.GZIP, b"BZh": FileType.BZIP2, b"\xfd7zXZ\x00": FileType.XZ}

_AS_TABLE = "Open it in the program it comes from and save the table as .xlsx or CSV (UTF-8)."
_OTHERS = (  # offset, bytes, what it is, what to do
    (0, b"%PDF", "a PDF document", _AS_TABLE),
    (0, b"\x89PNG", "a picture (PNG)", "Choose the table itself, not a picture of it."),
    (0, b"\xff\xd8\xff", "a picture (JPEG)", "Choose the table itself, not a picture of it."),
    (0, b"GIF8", "a picture (GIF)", "Choose the table itself, not a picture of it."),
    (8, b"WEBP", "a picture (WebP)", "Choose the table itself, not a picture of it."),
    (0, b"II*\x00", "a picture (TIFF)", "Choose the table itself, not a picture of it."),
    (0, b"MM\x00*", "a picture (TIFF)", "Choose the table itself, not a picture of it."),
    (4, b"ftyp", "a film or a picture", "Choose the table itself, not a picture of it."),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it and load the table inside."),
    (0, b"Rar!", "a RAR archive", "Unpack it and load the table inside."),
    (257, b"ustar", "a tar archive", "Unpack it and load the table inside."),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it and load the table inside."),
    (0, b"SQLite format 3", "a database (SQLite)", "Export the table from it as CSV (UTF-8)."),
    (0, b"PAR1", "a Parquet file", "Export the table from it as CSV (UTF-8)."),
    (0, b"ARROW1", "an Arrow file", "Export the table from it as CSV (UTF-8)."),
    (0, b"{\\rtf", "a text document (RTF)", _AS_TABLE),
    (0, b"bplist", "a property list of a Mac", _AS_TABLE),
    (0, b"\x00\x05\x16\x07", "a companion file of a Mac, not the table itself", "Load the file without ._ in front."),
    (0, b"MZ\x90\x00", "a program", "Choose the table."),
    (0, b"\x7fELF", "a program", "Choose the table."),
    (0, b"\x09\x08\x06\x00", "a workbook of a very old Excel", "Open it and save it as .xlsx."),
    (0, b"\x09\x04\x06\x00", "a workbook of a very old Excel", "Open it and save it as .xlsx."),
    (0, b"\x09\x02\x06\x00", "a workbook of a very old Excel", "Open it and save it as .xlsx."),
    (0, b"\x09\x00\x04\x00", "a workbook of a very old Excel", "Open it and save it as .xlsx."),
    (0, b"\x00\x00\x1a\x00", "a Lotus 1-2-3 sheet", _AS_TABLE),
)  # fmt: skip
_TEXTS = (  # how a text begins, blanks aside; what it is
    (re.compile(r"<(!doctype\s+html|html|head|body|meta|table|style|title)\b|<!--.{0,2000}<html", re.I | re.S),
     "an HTML page"),
    (re.compile(r"<\?xml\b.{0,4000}urn:schemas-microsoft-com:office:spreadsheet", re.I | re.S),
     "an Excel 2003 XML spreadsheet"),
    (re.compile(r"<\?xml\b.{0,4000}<html", re.I | re.S), "an HTML page"),
    (re.compile(r"<\?xml\b", re.I), "an XML file"),
    (re.compile(r"(mime-version|received|return-path|message-id|x-[a-z-]+):\s", re.I), "an e-mail or a saved web page"),
    (re.compile(r"\{\s*(\"[^\"\n]*\"\s*:|\})|\[\s*[\[{\]]"), "a JSON file"),
    (re.compile(r"begin:v(card|calendar)", re.I), "a file of contacts or dates (vCard, iCalendar)"),
)  # fmt: skip
_TEXT_ADVICE = {
    "a JSON file": "Export the table as CSV (UTF-8) or .xlsx instead.",
    "an e-mail or a saved web page": _AS_TABLE,
    "a file of contacts or dates (vCard, iCalendar)": "Export the contacts as CSV (UTF-8) instead.",
}
_OPEN_IN_EXCEL = "Open it in a spreadsheet program (Excel, LibreOffice) and save it as .xlsx or CSV (UTF-8)."

_PACKAGES = (  # a name inside the zip, what it is
    ("xl/workbook.bin", FileType.XLSB),
    ("xl/worksheets/", FileType.XLSX),
    ("xl/workbook.xml", FileType.XLSX),
)
_OTHER_PACKAGES = (
    ("word/", "a text document (Word)"),
    ("ppt/", "a presentation (PowerPoint)"),
    ("visio/", "a drawing (Visio)"),
    ("index/document.iwa", "a document of Apple Numbers or Pages"),
    ("index.zip", "a document of Apple Numbers or Pages"),
    ("meta-inf/manifest.mf", "a Java program"),
    ("androidmanifest.xml", "an Android program"),
)
_ODS_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"
_XLS_BEGIN = b"\x09\x08\x10\x00\x00\x06\x05\x00"  # BOF of the workbook's globals, BIFF8
_XLS_PASSWORD, _XLS_SHEET = 0x2F, 0x85  # records FILEPASS and BOUNDSHEET
_OTHER_OLE = (
    ("WordDocument", "a text document (Word)"),
    ("PowerPoint Document", "a presentation (PowerPoint)"),
    ("__properties_version1.0", "an e-mail saved by Outlook"),
)


def detect_file_type(path: Path, name: str) -> FileType:
    """Say what a file is.

    Args:
        path: where its bytes are.
        name: what people call it.
    Raises:
        InputError: it is empty, or something in which there is no table that can be read; says what it is.
    """
    if name.startswith(("~$", ".~lock.")):
        raise InputError(
            f"'{name}' is a lock file: it says that a document is open, and holds no rows.",
            hint="Load the document itself, the file without ~$ in front.",
        )
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    if not start.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        size = "0 bytes" if not start else "only blanks"
        raise InputError(f"'{name}' is empty ({size}).", hint="Check that the right file was chosen and saved.")
    for signature, kind in _PACKED.items():
        if start.startswith(signature):
            return kind
    if start.startswith(_ZIP):
        return _zip(path, name)
    if start.startswith(_OLE):
        return _ole(path, name)
    refuse_others(name, start)
    return FileType.TEXT


def refuse_others(name: str, start: bytes) -> None:
    """Look at the beginning of a file that is neither packed nor a workbook.

    Raises:
        InputError: it is no text either, or a text that is no table; says what it is.
    """
    for offset, signature, what, advice in _OTHERS:
        if start.startswith(signature, offset):
            raise _no_table(name, what, advice)
    _refuse_other_texts(name, start)


def may_hold_table(start: bytes) -> bool:
    """Tell from its beginning whether a file may be a table, packed or not."""
    if start.startswith((*_PACKED, _ZIP, _OLE)):
        return True
    try:
        refuse_others("", start)
    except InputError:
        return False
    return bool(start.strip())


def _refuse_other_texts(name: str, start: bytes) -> None:
    is_wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_wide(start)
    text = start.replace(b"\0", b"") if is_wide else start  # good enough to see how it begins
    opening = text.decode("latin-1").lstrip("\xef\xbb\xbf\xff\xfe \t\r\n")
    for pattern, what in _TEXTS:
        if pattern.match(opening):
            raise _no_table(name, what, _TEXT_ADVICE.get(what, _OPEN_IN_EXCEL))
    body = start.rstrip(b"\0")
    controls = sum(body.count(byte) for byte in range(1, 32) if byte not in b"\t\n\r\x0b\x0c\x1a\x1b\x1f")
    is_binary = (controls > _MAX_CONTROL_SHARE * len(body) + _FEW_CONTROLS and not _is_utf_8(body)) or body.count(
        0
    ) > _MAX_NUL_SHARE * len(body) + _FEW_CONTROLS
    if is_binary and not is_wide:
        raise _no_table(name, "neither a table nor a text that is known here", _AS_TABLE)


def _is_utf_8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _looks_wide(start: bytes) -> bool:
    """UTF-16 or UTF-32 without a byte order mark: the zero bytes stand in every second place, or in three of four."""
    nuls = start.count(0)
    in_every_second = nuls > _MIN_WIDE_SHARE * len(start) and nuls in (start[::2].count(0), start[1::2].count(0))
    return in_every_second or start.count(b"\0\0\0") * 8 > len(start)


def _zip(path: Path, name: str) -> FileType:
    try:
        with ZipFile(path) as archive:
            names = [entry.replace("\\", "/").lstrip("/").lower() for entry in archive.namelist()]
            is_ods = "mimetype" in names and _ODS_TYPE in archive.read(archive.namelist()[names.index("mimetype")])
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise _damaged(name) from error
    if is_ods:
        return FileType.ODS
    for part, kind in _PACKAGES:
        if any(entry.startswith(part) for entry in names):
            return kind
    for part, what in _OTHER_PACKAGES:
        if any(entry.startswith(part) for entry in names):
            raise _no_table(name, what, _AS_TABLE)
    if "mimetype" in names and "content.xml" in names:
        raise _no_table(name, "an OpenDocument file, but no spreadsheet", _AS_TABLE)
    return FileType.ZIP


def _ole(path: Path, name: str) -> FileType:
    content = path.read_bytes()

    def has(folder: str) -> bool:
        return folder.encode("utf-16-le") + b"\0\0" in content

    if has("EncryptedPackage") or _asks_for_password(content):
        return FileType.LOCKED
    if has("Workbook") or has("Book"):
        return FileType.XLS
    what = next((what for folder, what in _OTHER_OLE if has(folder)), "an old Office file, but no workbook")
    raise _no_table(name, what, _AS_TABLE)


def _asks_for_password(content: bytes) -> bool:
    """Walk through the first records of an .xls, up to its first sheet."""
    place = content.find(_XLS_BEGIN)
    while 0 <= place <= len(content) - 4:
        record, size = unpack_from("<HH", content, place)
        if record in (_XLS_PASSWORD, _XLS_SHEET):
            return bool(record == _XLS_PASSWORD)
        place += 4 + size
    return False


def _no_table(name: str, what: str, advice: str) -> InputError:
    return InputError(f"'{name}' is {what}.", hint=advice)


def _damaged(name: str) -> InputError:
    return InputError(
        f"'{name}' begins like a workbook or a zip archive but cannot be opened: it is damaged or incomplete.",
        hint="Copy or download it again, or save it again in the program it comes from.",
    )
