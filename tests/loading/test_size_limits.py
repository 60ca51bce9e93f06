"""A cell, a row or an archive without end is found while it is read, and its row or the file is refused."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
import xlsxwriter

from tests.support.commands import peak_kb

FLAGS = ("--url", "http://127.0.0.1:9", "--scenario", "3", "--match", "email=email", "--skip-preflight", "--json")
CHECK = ("--content", "note=note")
MOST_KB = 220_000
HEAD = "email,note,city\n"


def check(cli, name, *words, measured=False):
    return cli("check", name, *FLAGS, *words, "--ledger", "l.sqlite", measured=measured)


def refused_rows(ended):
    return {problem["code"]: problem["first_rows"] for problem in ended.json["problems"]}


@pytest.mark.slow
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_endless_csv_cell_refuses_its_row_only(cli, quote, encoding):
    with (cli.folder / "in.csv").open("w", encoding=encoding, newline="") as file:
        file.write(f"{HEAD}a@example.com,ok,x\r\nb@example.com,{quote}")
        for _ in range(30):
            file.write("é" * 1_000_000)
        file.write(f"{quote},y\r\nc@example.com,ok,z\r\n")
    ended = check(cli, "in.csv", *CHECK, measured=True)
    assert ended.code == 1, ended.err
    plan = ended.json
    assert (plan["rows"], plan["to_send"], refused_rows(ended)) == (3, 2, {"cell_too_long": [3]})
    assert peak_kb(ended) < MOST_KB


@pytest.mark.parametrize(("characters", "code"), [(1_000_000, 0), (1_000_001, 1)])
def test_csv_cell_may_have_a_million_characters(cli, characters, code):
    (cli.folder / "in.csv").write_text(f"{HEAD}a@example.com,{'x' * characters},x\nb@example.com,ok,x\n")
    assert check(cli, "in.csv").code == code


def test_endless_cell_over_several_lines_is_an_open_quote(cli):
    (cli.folder / "in.csv").write_text(f'{HEAD}a@example.com,ok,x\nb@example.com,"o\n' + f"{'x' * 99},\n" * 30_000)
    ended = check(cli, "in.csv")
    assert (ended.code, "Line 3: a quote" in ended.err) == (2, True), ended.err


def test_endless_cell_with_an_open_quote_hides_no_row(cli):
    """The next line would be inside the cell: it is not read as a row."""
    (cli.folder / "in.csv").write_text(
        f'{HEAD}b@example.com,"{"x" * 9_000_000}\nnobody@example.com,no,row"\nc@d.ef,a,b\n'
    )
    ended = check(cli, "in.csv")
    assert (ended.code, "Line 2: a quote" in ended.err) == (2, True), ended.err


def workbook(path, *notes):
    """Write a sheet with one row for each note, as inline text that may be longer than Excel allows."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        book.add_worksheet().write_row(0, 0, ["email", "note"])
    rows = "".join(
        f'<row r="{number}"><c t="inlineStr"><is><t>p{number}@example.com</t></is></c>{note}</row>'
        for number, note in enumerate(notes, 2)
    )
    with (
        zipfile.ZipFile(data) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in source.namelist():
            part = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                part = part.replace(b"</sheetData>", rows.encode() + b"</sheetData>")
            target.writestr(name, part)
    return path.stat().st_size


def text_cell(text):
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.mark.slow
@pytest.mark.parametrize(
    "long",
    ["x" * 32_768, "x" * 40_000_000, "é" * 5_000_000, "&amp;" * 5_000_000, "\U0001f600" * 4_000_000],
    ids=["barely", "endless", "two bytes", "escapes", "four bytes"],
)
def test_endless_workbook_cell_refuses_its_row_only(cli, long):
    workbook(cli.folder / "in.xlsx", text_cell("y" * 32_767), text_cell(long), text_cell("ok"))
    ended = check(cli, "in.xlsx", *CHECK, measured=True)
    assert ended.code == 1, ended.err
    assert (ended.json["to_send"], refused_rows(ended)) == (2, {"cell_too_long": [3]})
    assert peak_kb(ended) < MOST_KB


@pytest.mark.slow
@pytest.mark.parametrize("endless", ["<c/>", "<c><is><r><t>x</t></r></is></c>"], ids=["cells", "runs"])
def test_endless_workbook_row_is_refused(cli, endless):
    workbook(cli.folder / "in.xlsx", endless * (12_000_000 // len(endless)))
    ended = check(cli, "in.xlsx", measured=True)
    assert (ended.code, "no end" in ended.err) == (2, True), ended.err
    assert peak_kb(ended) < 2 * MOST_KB


def test_workbook_part_that_unpacks_too_far_is_refused(cli, monkeypatch):
    monkeypatch.setattr("batch_enroll.loading.unpacking._SURELY_FINE_BYTES", 1_000_000)
    workbook(cli.folder / "in.xlsx", *[text_cell("x" * 30_000)] * 100)
    ended = check(cli, "in.xlsx")
    assert (ended.code, "too large" in ended.err) == (2, True), ended.err


@pytest.mark.parametrize("name", ["in.zip", "in.xlsx"])
def test_packed_size_of_an_archive_is_not_believed(cli, monkeypatch, name):
    """The archive says that a member takes 1 GB, so that its ratio looks harmless."""
    monkeypatch.setattr("batch_enroll.loading.unpacking._SURELY_FINE_BYTES", 1_000_000)
    path = cli.folder / name
    if name == "in.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in.csv", HEAD + "a@example.com,x,y\n" * 1_000_000)
    else:
        workbook(path, *[text_cell("x" * 30_000)] * 100)
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        struct.pack_into("<I", data, place + 20, 1 << 30)
        place = data.find(b"PK\x01\x02", place + 4)
    path.write_bytes(data)
    ended = check(cli, name)
    assert (ended.code, "Traceback" in ended.err) == (2, False), ended.err
    assert any(words in ended.err for words in ("unpacks to more", "too large", "damaged or incomplete"))
