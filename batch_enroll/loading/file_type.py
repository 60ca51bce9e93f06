"""Detect the type of a file by its content; only the lock files of Office are recognised by their name."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from pathlib import Path
from struct import unpack_from
from zipfile import BadZipFile, ZipFile

from batch_enroll.errors import InputError
from batch_enroll.messages import Message, message


class FileType(StrEnum):
    """The file types that can be read; workbooks by their ending, which names their title in the messages."""

    TEXT = "text"
    XLSX = "xlsx"
    XLSB = "xlsb"
    XLS = "xls"
    ODS = "ods"
    LOCKED = "locked"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip"


START_BYTES = 1 << 13  #: enough of a file to detect its type
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x1a")
_FEW_CONTROLS = 8  # a small table may have a few damaged cells
_MAX_CONTROL_SHARE = 0.02
_MAX_NUL_SHARE = 0.2
_MIN_WIDE_SHARE = 0.04

_PACKED = {b"\x1f\x8b": FileType.GZIP, b"BZh": FileType.BZIP2, b"\xfd7zXZ\x00": FileType.XZ}

_OTHERS = (  # offset, bytes, what it is
    (0, b"\x89PNG", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (4, b"ftyp", "film"),
    (0, b"7z\xbc\xaf\x27\x1c", "7zip"),
    (0, b"Rar!", "rar"),
    (257, b"ustar", "tar"),
    (0, b"\x28\xb5\x2f\xfd", "zstandard"),
    (0, b"SQLite format 3", "sqlite"),
    (0, b"PAR1", "parquet"),
    (0, b"ARROW1", "arrow"),
    (0, b"bplist", "plist"),
    (0, b"\x00\x05\x16\x07", "mac_companion"),
    (0, b"MZ\x90\x00", "program"),
    (0, b"\x7fELF", "program"),
    (0, b"\x09\x08\x06\x00", "old_excel"),
    (0, b"\x09\x04\x06\x00", "old_excel"),
    (0, b"\x09\x02\x06\x00", "old_excel"),
    (0, b"\x09\x00\x04\x00", "old_excel"),
    (0, b"\x00\x00\x1a\x00", "lotus"),
)  # fmt: skip
_DBASE = re.compile(
    rb"[\x03\x30\x31\x43\x63\x83\x8b\xcb\xf5].[\x01-\x0c][\x01-\x1f].{6}[^\0]\0", re.S
)  # version, date, sizes
_TEXTS = (  # how a text begins, blanks aside; what it is
    (re.compile(r"%PDF"), "pdf"),
    (re.compile(r"\{\\rtf"), "rtf"),
    (re.compile(r"<(!doctype\s+html|html|head|body|meta|table|style|title)\b|<!--.{0,2000}<html", re.I | re.S),
     "html"),
    (re.compile(r"<\?xml\b.{0,4000}urn:schemas-microsoft-com:office:spreadsheet", re.I | re.S),
     "excel_xml"),
    (re.compile(r"<\?xml\b.{0,4000}<html", re.I | re.S), "html"),
    (re.compile(r"<\?xml\b", re.I), "xml"),
    (re.compile(r"(mime-version|received|return-path|message-id|x-[a-z-]+):\s", re.I), "email"),
    (re.compile(r"\{\s*(\"[^\"\n]*\"\s*:|\})|\[\s*[\[{\]]"), "json"),
    (re.compile(r"begin:v(card|calendar)", re.I), "contacts"),
)  # fmt: skip
_PACKAGES = (  # a name inside the zip, what it is
    ("xl/workbook.bin", FileType.XLSB),
    ("xl/worksheets/", FileType.XLSX),
    ("xl/workbook.xml", FileType.XLSX),
)
_OTHER_PACKAGES = (
    ("word/", "word"),
    ("ppt/", "powerpoint"),
    ("visio/", "visio"),
    ("index/document.iwa", "iwork"),
    ("index.zip", "iwork"),
    ("meta-inf/manifest.mf", "java"),
    ("androidmanifest.xml", "android"),
)
_SHEET_TYPES = (  # what a package says of its main part, wherever that is
    (b"ms-excel.sheet.binary.macroenabled.main", FileType.XLSB),
    (b"spreadsheetml.sheet.main+xml", FileType.XLSX),
    (b"spreadsheetml.template.main+xml", FileType.XLSX),
    (b"ms-excel.sheet.macroenabled.main+xml", FileType.XLSX),
    (b"ms-excel.template.macroenabled.main+xml", FileType.XLSX),
)
_ODS_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"
_XLS_BEGIN = b"\x09\x08\x10\x00\x00\x06\x05\x00"  # BOF of the workbook's globals, BIFF8
_XLS_PASSWORD, _XLS_SHEET = 0x2F, 0x85  # records FILEPASS and BOUNDSHEET
_OTHER_OLE = (
    ("WordDocument", "word"),
    ("PowerPoint Document", "powerpoint"),
    ("__properties_version1.0", "outlook"),
)


def detect_file_type(path: Path, name: str) -> FileType:
    """Detect the type of a file.

    Args:
        path: where its bytes are.
        name: its name for people.
    Raises:
        InputError: it is empty, or a file without a table that can be read; names its type.
    """
    if name.startswith(("~$", ".~lock.")):
        raise InputError(message("input.is_lock_file", name=name))
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    if not start.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise InputError(message("input.blank", name=name) if start else message("input.empty", name=name))
    if _is_binary(start):
        for signature, kind in _PACKED.items():
            if start.startswith(signature):
                return kind
        if start.startswith(_ZIP):
            return _zip_type(path, name)
    if start.startswith(_OLE):
        return _ole_type(path, name)
    refuse_others(name, start)
    return FileType.TEXT


def refuse_others(name: str, start: bytes) -> None:
    """Refuse what is neither packed, nor a workbook, nor a delimited text.

    Raises:
        InputError: it is no text, or a text that is no table; names its type.
    """
    is_binary = _is_binary(start)
    for offset, signature, what in _OTHERS:
        if start.startswith(signature, offset) and (is_binary or not signature.isascii()):
            raise _no_table(name, what)
    if is_binary and _DBASE.match(start):
        raise _no_table(name, "dbase")
    _refuse_other_texts(name, start)


def may_hold_table(start: bytes) -> bool:
    """Tell by its first bytes whether a file may hold a table, packed or not."""
    if _is_binary(start) and start.startswith((*_PACKED, *_ZIP, _OLE)):
        return True
    try:
        refuse_others("", start)
    except InputError:
        return False
    return bool(start.strip())


def _is_binary(start: bytes) -> bool:
    """Tell whether bytes hold what no text holds; a header may begin like a signature: PK, PAR1, Rar!."""
    return len(start.translate(None, _CONTROLS)) < len(start)


def _refuse_other_texts(name: str, start: bytes) -> None:
    is_wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_wide(start)
    text = start.replace(b"\0", b"") if is_wide else start  # good enough to see how it begins
    opening = text.decode("latin-1").lstrip("\xef\xbb\xbf\xff\xfe \t\r\n")
    for pattern, what in _TEXTS:
        if pattern.match(opening):
            raise _no_table(name, what)
    body = start.rstrip(b"\0")
    controls = sum(body.count(byte) for byte in range(1, 32) if byte not in b"\t\n\r\x0b\x0c\x1a\x1b\x1f")
    is_binary = (controls > _MAX_CONTROL_SHARE * len(body) + _FEW_CONTROLS and not _is_utf_8(body)) or body.count(
        0
    ) > _MAX_NUL_SHARE * len(body) + _FEW_CONTROLS
    if is_binary and not is_wide:
        raise _no_table(name, "binary")


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


def _zip_type(path: Path, name: str) -> FileType:
    try:
        with ZipFile(path) as archive:
            names = [entry.replace("\\", "/").lstrip("/").lower() for entry in archive.namelist()]

            def read(part: str) -> bytes:
                return archive.read(archive.namelist()[names.index(part)]).lower() if part in names else b""

            is_ods = _ODS_TYPE in read("mimetype")
            is_locked = is_ods and b"encryption-data" in read("meta-inf/manifest.xml")
            types = read("[content_types].xml")
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise _damaged(name) from error
    if is_locked:
        raise InputError(message("input.locked_opendocument", name=name))
    if is_ods:
        return FileType.ODS
    for part, kind in _PACKAGES:
        if any(entry.startswith(part) for entry in names):
            return kind
    for part, what in _OTHER_PACKAGES:
        if any(entry.startswith(part) for entry in names):
            raise _no_table(name, what)
    for what_it_says, kind in _SHEET_TYPES:
        if what_it_says in types:
            return kind
    if "mimetype" in names and "content.xml" in names:
        raise _no_table(name, "other_opendocument")
    return FileType.ZIP


def _ole_type(path: Path, name: str) -> FileType:
    content = path.read_bytes()

    def has(folder: str) -> bool:
        return folder.encode("utf-16-le") + b"\0\0" in content

    if has("EncryptedPackage") or _asks_for_password(content):
        return FileType.LOCKED
    if has("Workbook") or has("Book"):
        return FileType.XLS
    what = next((what for folder, what in _OTHER_OLE if has(folder)), "other_office")
    raise _no_table(name, what)


def _asks_for_password(content: bytes) -> bool:
    """Look for a password record among the first records of an .xls, up to its first sheet."""
    place = content.find(_XLS_BEGIN)
    while 0 <= place <= len(content) - 4:
        record, size = unpack_from("<HH", content, place)
        if record in (_XLS_PASSWORD, _XLS_SHEET):
            return bool(record == _XLS_PASSWORD)
        place += 4 + size
    return False


def _no_table(name: str, what: str) -> InputError:
    return InputError(Message(f"input.is_{what}", {"name": name}))


def _damaged(name: str) -> InputError:
    return InputError(message("input.damaged_package", name=name))
