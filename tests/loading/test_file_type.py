"""What a file is comes from its bytes; what is no table is named."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading import unpacking

CORPUS = Path(__file__).parents[1] / "spreadsheets"
TABLE = b"client_id,name\n000123,Anna\n0045,Boris\n"
CELLS = [("000123", "Anna"), ("0045", "Boris")]


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture (PNG)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture (JPEG)"),
        (zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "a text document (Word)"),
        (zipped({"[Content_Types].xml": b"", "ppt/presentation.xml": b""}), "a presentation"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b""}), "no spreadsheet"),
        (zipped({"Index/Document.iwa": b"", "preview.jpg": b""}), "Apple Numbers"),
        (json.dumps([{"email": "a@example.com"}]).encode(), "a JSON file"),
        (b'{"email": "a@example.com"}\n{"email": "b@example.com"}\n', "a JSON file"),
        (b"<!DOCTYPE html>\n<html><table><tr><td>1</td></tr></table></html>", "an HTML page"),
        ("\ufeff<html><table></table></html>".encode("utf-16"), "an HTML page"),
        (b"\xef\xbb\xbf  <table border=1><tr><td>email</td></tr></table>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook '
         b'xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>', "an Excel 2003 XML spreadsheet"),
        (b'<?xml version="1.0"?><customers/>', "an XML file"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related", "a saved web page"),
        (b"BEGIN:VCARD\nVERSION:3.0\n", "vCard"),
        (b"{\\rtf1\\ansi Hello}", "RTF"),
        (b"SQLite format 3\0" + bytes(100), "a database"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"x" * 257 + b"ustar\x0000", "a tar archive"),
        (b"\x09\x08\x06\x00\x00\x05\x05\x00", "a very old Excel"),
        (bytes(range(256)) * 4, "neither a table nor a text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "WordDocument\0".encode("utf-16-le"), "(Word)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "no workbook"),
    ],
)  # fmt: skip
def test_other_file_types_are_named_in_one_error(load, data, what):
    with pytest.raises(InputError) as caught:
        load(data)
    assert what in caught.value.message
    assert caught.value.hint
    assert caught.value.message.count(". ") == 0


@pytest.mark.parametrize(
    "header", ["<TICKER>,<DATE>\nA,1\n", "[email],[name]\na@example.com,A\n", "{id},{name}\n1,A\n", "MZ,BM\nA,B\n"]
)
def test_unusual_headers_do_not_change_the_file_type(load, header):
    assert load(header).table.columns == tuple(header.split("\n")[0].split(","))


@pytest.mark.parametrize("name", ["people.xls", "people.xlsx", "people.pdf", "people"])
def test_csv_is_detected_under_any_name(load, tmp_path, name):
    (tmp_path / name).write_bytes(TABLE)
    assert load(tmp_path / name).cells == CELLS


@pytest.mark.parametrize(
    ("case", "kind"),
    [("xlsx-text-ids.xlsx", ".xlsx"), ("xls-legacy.xls", ".xls"), ("ods-repeats.ods", ".ods")],
)
def test_workbook_is_detected_under_any_name(load, tmp_path, case, kind):
    (tmp_path / "people.csv").write_bytes((CORPUS / case).read_bytes())
    assert f"({kind})" in str(load(tmp_path / "people.csv").table.form)


@pytest.mark.parametrize("name", ["~$people.xlsx", ".~lock.people.ods#"])
def test_excel_lock_file_is_refused(load, tmp_path, name):
    (tmp_path / name).write_bytes(b"\x05Anna " + b" " * 159)
    with pytest.raises(InputError, match="a lock file"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TABLE),
        gzip.compress(TABLE[:20]) + gzip.compress(TABLE[20:]),
        bz2.compress(TABLE),
        lzma.compress(TABLE),
        zipped({"export/people.csv": TABLE}),
        zipped({"people.csv": TABLE, "__MACOSX/._people.csv": b"\0\5\x16\7", ".DS_Store": b"\0\0\0\1Bud1"}),
        zipped({"people.csv": TABLE, "readme.pdf": b"%PDF-1.4", "empty.txt": b""}),
        zipped({"people.csv.gz": gzip.compress(TABLE)}),
    ],
    ids=["gzip", "two gzips", "bz2", "xz", "zip", "zip of a Mac", "zip with other files", "gzip in a zip"],
)
def test_compressed_table_is_read(load, packed):
    loaded = load(packed)
    assert loaded.cells == CELLS
    assert loaded.numbers == [2, 3]


def test_compressed_workbook_is_read(load):
    data = (CORPUS / "xlsx-named-csv.csv").read_bytes()
    assert load(zipped({"people.xlsx": data})).cells == load(data).cells


def test_archive_with_several_tables_is_an_error(load):
    with pytest.raises(InputError, match=r"2 files that may be the table: 'a.csv', 'b.xlsx'"):
        load(zipped({"a.csv": TABLE, "b.xlsx": (CORPUS / "xlsx-text-ids.xlsx").read_bytes()}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(TABLE)[:-9], "cannot be unpacked"),
        (gzip.compress(TABLE)[:12], "cannot be unpacked"),
        (gzip.compress(b""), "is empty"),
        (b"\x1f\x8b" + bytes(20), "cannot be unpacked"),
        (bz2.compress(TABLE)[:-4], "cannot be unpacked"),
        (lzma.compress(TABLE)[:-4], "cannot be unpacked"),
        (zipped({"people.csv": TABLE})[:-10], "damaged or incomplete"),
        (zipped({}), "without a table"),
        (zipped({"photo.png": b"\x89PNG\r\n"}), "without a table"),
        (b"PK\x03\x04" + bytes(40), "damaged or incomplete"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(TABLE))))), "more than 3 layers"),
    ],
    ids=[
        *("gzip cut short", "gzip cut in the middle", "gzip of nothing", "gzip of zeros", "bz2 cut short"),
        *(
            "xz cut short",
            "zip cut short",
            "zip of nothing",
            "zip of a picture",
            "zip of zeros",
            "gzip in gzip in gzip",
        ),
    ],
)
def test_damaged_or_useless_archive_is_one_error(load, data, message):
    with pytest.raises(InputError, match=message):
        load(data)


def test_encrypted_archive_is_refused(load):
    data = bytearray(zipped({"people.csv": TABLE}))
    for place in (6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1
    with pytest.raises(InputError, match="protected with a password"):
        load(bytes(data))


def test_decompression_bomb_is_refused(load, monkeypatch):
    monkeypatch.setattr(unpacking, "_SURELY_FINE_BYTES", 1 << 20)
    with pytest.raises(InputError, match="no table of customers is packed like this"):
        load(gzip.compress(b"email,name\n" + bytes(64 << 20), compresslevel=9))


LOCKED = CORPUS / "xlsx-password.xlsx"


def test_encrypted_workbook_needs_its_password(load):
    with pytest.raises(InputError, match="protected with a password") as caught:
        load(LOCKED)
    assert "input.password_file" in caught.value.hint


def test_encrypted_workbook_opens_with_its_password(load):
    assert load(LOCKED, password="secret").table.columns[0] == "email"


def test_wrong_password_is_refused_and_not_shown(load):
    with pytest.raises(InputError, match="password does not open") as caught:
        load(LOCKED, password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_encrypted_workbook_names_the_missing_extra(load, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "msoffcrypto", None)
    with pytest.raises(InputError, match="msoffcrypto-tool") as caught:
        load(LOCKED, password="secret")
    assert caught.value.hint.endswith(" -m pip install msoffcrypto-tool")
