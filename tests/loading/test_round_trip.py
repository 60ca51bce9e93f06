"""For all tables: what was written comes back cell by cell. For all bytes: rows, or one sentence."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from batch_enroll.column_lookup import visible
from batch_enroll.errors import InputError
from batch_enroll.loading import open_table
from batch_enroll.models import InputOptions
from tests.support.examples import examples

CORPUS = Path(__file__).parents[1] / "spreadsheets"
MANY = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
LIKELY_TEXT = st.text(alphabet="a1é \",;\t|\n\r'=+я", max_size=12)
CELL = TEXT | LIKELY_TEXT
IN_XML = CELL.filter(
    lambda text: not ILLEGAL_CHARACTERS_RE.search(text) and "\ufffe" not in text and "\uffff" not in text
)


def tables(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    """Rows below the header `id,b,c`: the first cell is the row's own number, so that no row is blank."""
    return st.lists(st.tuples(cell, cell), min_size=1, max_size=8).map(
        lambda rows: [[f"r{number}", *cells] for number, cells in enumerate(rows)]
    )


def load(data: bytes, **options) -> list[tuple[str, ...]]:
    with (
        tempfile.TemporaryDirectory() as spool,
        open_table(io.BytesIO(data), InputOptions(**options), wanted=("id", "b", "c"), spool=Path(spool)) as table,
    ):
        return [row.cells for block in table.blocks() for row in block]


@MANY
@given(
    tables(CELL),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_csv_module_output_is_read_back(rows, delimiter, quoting, encoding):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows([["id", "b", "c"], *rows])
    assert load(out.getvalue().encode(encoding), delimiter=delimiter) == [tuple(row) for row in rows]


@MANY
@given(tables(CELL.filter(lambda text: "\n" not in text and "\r" not in text)), st.sampled_from(",;\t|"))
def test_delimiter_of_csv_module_output_is_detected(rows, delimiter):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([["id", "b", "c"], *rows])
    assert load(out.getvalue().encode()) == [tuple(row) for row in rows]


@MANY
@given(tables(IN_XML))
def test_xlsxwriter_output_is_read_back(rows):
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([["id", "b", "c"], *rows]):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text)
    assert load(out.getvalue()) == [tuple(row) for row in rows]


@MANY
@given(tables(IN_XML.filter(lambda text: "_x" not in text and "\r" not in text)))
def test_openpyxl_output_is_read_back(rows):
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for number, row in enumerate([["id", "b", "c"], *rows], start=1):
        for column, text in enumerate(row, start=1):
            cell = sheet.cell(number, column, text)
            cell.data_type = "s"  # also a text that begins with "="
    out = io.BytesIO()
    book.save(out)
    assert load(out.getvalue()) == [tuple(row) for row in rows]


@MANY
@given(
    st.lists(st.integers(-(10**15) + 1, 10**15 - 1) | st.decimals(-(10**9), 10**9, places=4), min_size=1, max_size=9)
)
def test_numbers_keep_exactly_their_digits(numbers):
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "b", "c"])
        for row, number in enumerate(numbers, start=1):
            sheet.write_row(row, 0, [f"r{row}", float(number), ""])
    for number, cells in zip(numbers, load(out.getvalue()), strict=True):
        assert float(cells[1]) == pytest.approx(float(number), rel=1e-14)
        assert "E" not in cells[1].upper()
        if number == int(number):
            assert cells[1] == str(int(number))


def _faults(data: bytes) -> list[str]:
    """Load any bytes at all: rows as wide as the header, or an InputError in plain words; anything else is a fault."""
    faults = []
    try:
        with (
            tempfile.TemporaryDirectory() as spool,
            open_table(io.BytesIO(data), InputOptions(), spool=Path(spool)) as table,
        ):
            for block in table.blocks():
                for row in block:
                    if len(row.cells) != len(table.columns):
                        faults.append(f"row {row.number} has {len(row.cells)} cells for {len(table.columns)} columns")
                    if not any(map(visible, row.cells)) and not row.problems:
                        faults.append(f"row {row.number} is blank")
                    for cell in row.cells:
                        cell.encode("utf-8")  # half an emoji cannot be written to the results
    except InputError as error:
        if not str(error.message).strip():
            faults.append("an error without a sentence")
    return faults


SEEDS = sorted(path for path in CORPUS.iterdir() if path.stat().st_size < 20_000)


@MANY
@given(st.binary(max_size=400) | st.text(alphabet='ab,;\n\r"\t\0é=', max_size=200).map(str.encode))
def test_any_bytes_give_rows_or_one_error(data):
    assert _faults(data) == []


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_real_file_gives_rows_or_one_error(path, data):
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4), label="changes") if content else 0):
        place = data.draw(st.integers(0, len(content) - 1), label="place")
        content[place : place + data.draw(st.integers(0, 3), label="cut")] = data.draw(
            st.binary(max_size=3), label="new"
        )
        if not content:
            break
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content)), label="end") :]
    assert _faults(bytes(content)) == []


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["xlsx-dates-booleans.xlsx", "xlsx-two-sheets.xlsx", "xlsx-merged-cells.xlsx", "ods-repeats.ods"]),
    st.data(),
)
def test_damaged_workbook_part_gives_rows_or_one_error(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(CORPUS / name) as source, zipfile.ZipFile(out, "w") as target:
        hit = data.draw(st.sampled_from(source.namelist()))
        for member in source.namelist():
            content = source.read(member)
            if member == hit:
                content = _damaged(content, data)
            target.writestr(member, content)
    assert _faults(out.getvalue()) == []


def _damaged(content: bytes, data: st.DataObject) -> bytes:
    text = content.decode("utf-8", "replace")
    words = st.sampled_from(
        ['"', ">", "<", "/>", "0", "-1", "99999999999999999999", "A1", "", "x:", "&", "]]>", "e", " "]
    )
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(text) - 1)))
        text = text[:place] + data.draw(words) + text[place + data.draw(st.integers(0, 6)) :]
    return text.encode()
