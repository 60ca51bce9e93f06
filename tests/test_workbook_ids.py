"""Dates and number formats in the matching column of a workbook, through the command line."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

FORMATS = ("General", "0000000", "+7 (000) 000-00-00", '"C-"0', "0", "#", "0;-0", "0_ ", "#,##0", "0.00")
SHOWN = ("1001", "0001001", "+7 (000) 000-10-01", "C-1001", *["1001"] * 6)


def xlsx(day: date) -> bytes:
    """A date and a number in many formats, in both columns."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["client_id", "n"])
        for column in (0, 1):
            sheet.write_datetime(1, column, day, book.add_format({"num_format": "dd.mm.yyyy"}))
            for row, code in enumerate(FORMATS, start=2):
                sheet.write_number(row, column, 1001, book.add_format({"num_format": code}))
    return data.getvalue()


def xls(day: date) -> bytes:
    """The same as an .xls."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet1")
    for column, name in enumerate(("client_id", "n")):
        sheet.write(0, column, name)
        sheet.write(1, column, day, xlwt.easyxf(num_format_str="dd.mm.yyyy"))
        for row, code in enumerate(FORMATS, start=2):
            sheet.write(row, column, 1001, xlwt.easyxf(num_format_str=code))
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


@pytest.mark.parametrize("write", [xlsx, xls])
def test_number_shown_as_another_id_is_refused_with_it(send, write):
    played = send(write(date(2026, 3, 15)), f"table.{write.__name__}", content=("n",))
    assert played.sent == (None, "1001", None, None, None, *["1001"] * 6)
    assert "A2 (column 'client_id') holds a date (2026-03-15)" in played.said
    for row in (3, 4, 5):
        assert f"A{row + 1} (column 'client_id') holds the number 1001, and the sheet shows {SHOWN[row - 2]}" in (
            played.said
        )


def test_dates_and_formats_of_content_are_sent(send):
    book = xlsx(date(2026, 3, 15))
    played = send(book, "table.xlsx", column="n", content=("client_id",))
    assert played.sent[0] is None
    ids = io.BytesIO()
    with xlsxwriter.Workbook(ids) as out:
        sheet = out.add_worksheet()
        sheet.write_row(0, 0, ["client_id", "day", "code"])
        sheet.write_string(1, 0, "000123")
        sheet.write_datetime(1, 1, date(2026, 3, 15), out.add_format({"num_format": "dd.mm.yyyy"}))
        sheet.write_number(1, 2, 45, out.add_format({"num_format": "0000"}))
    played = send(ids.getvalue(), "ids.xlsx", content=("day", "code"))
    assert (played.sent, played.columns["day"], played.columns["code"]) == (("000123",), ("2026-03-15",), ("45",))
    assert "(0000)" in played.said


def test_format_without_decimals_gives_no_notice(send):
    data = io.BytesIO()
    with xlsxwriter.Workbook(data) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["client_id"])
        for row, code in enumerate(("0", "#", "0;-0", "0_ ", "0;[Red]-0"), start=1):
            sheet.write_number(row, 0, 1000 + row, book.add_format({"num_format": code}))
    played = send(data.getvalue(), "table.xlsx")
    assert played.sent == ("1001", "1002", "1003", "1004", "1005")
    assert "another form" not in played.said


def test_dates_and_formats_of_an_ods_are_refused(send, tmp_path: Path):
    document, sheet = OpenDocumentSpreadsheet(), Table(name="Sheet1")
    document.spreadsheet.addElement(sheet)
    for attributes, shown in (
        ({"valuetype": "string"}, "client_id"),
        ({"valuetype": "date", "datevalue": "2026-03-15"}, "15.03.2026"),
        ({"valuetype": "float", "value": "123"}, "000123"),
        ({"valuetype": "float", "value": "9000000001"}, "+7 (900) 000-00-01"),
        ({"valuetype": "float", "value": "1001"}, "1 001"),
        ({"valuetype": "string"}, "000124"),
    ):
        row, cell = TableRow(), TableCell(**attributes)
        cell.addElement(P(text=shown))
        row.addElement(cell)
        sheet.addElement(row)
    document.save(tmp_path / "made.ods")
    played = send((tmp_path / "made.ods").read_bytes(), "table.ods")
    assert played.sent == (None, None, None, "1001", "000124")
    assert "the sheet shows 000123" in played.said
