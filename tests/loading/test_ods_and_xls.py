"""The other kinds of workbook give what .xlsx gives, as far as they can tell."""

from __future__ import annotations

import datetime as dt
import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.style import Style, TableProperties
from odf.table import CoveredTableCell, Table, TableCell, TableColumn, TableRow
from odf.text import P, S
from xlwt.CompoundDoc import XlsDoc

from batch_enroll.errors import InputError


def cell(text: str = "", kind: str = "string", **attributes: Any) -> TableCell:
    made = TableCell(**({"valuetype": kind} if kind else {}), **attributes)
    for line in text.split("\n") if text else []:
        made.addElement(P(text=line))
    return made


def ods(*rows: list[Any], columns: tuple[dict[str, Any], ...] = (), hidden: tuple[str, ...] = ()) -> bytes:
    """A document with one sheet; a row is a list of cells, perhaps with a dict of attributes in front."""
    document = OpenDocumentSpreadsheet()
    style = Style(name="unseen", family="table")
    style.addElement(TableProperties(display="false"))
    document.automaticstyles.addElement(style)
    for name in ("Leads", *hidden):
        table = Table(name=name, **({"stylename": style} if name in hidden else {}))
        for attributes in columns:
            table.addElement(TableColumn(**attributes))
        for row in rows:
            attributes = row.pop(0) if isinstance(row[0], dict) and name == "Leads" else {}
            made = TableRow(**attributes)
            for value in row:
                made.addElement(cell(value) if isinstance(value, str) else value)
            table.addElement(made)
            if hidden:
                break
        document.spreadsheet.addElement(table)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: cell("000123"), "000123"),
        (lambda: cell("1001", "float", value="1001"), "1001"),
        (lambda: cell("1002", "float", value="1002.0"), "1002"),
        (lambda: cell("7,9E+10", "float", value="79000000001"), "79000000001"),
        (lambda: cell("0,1", "float", value="0.1"), "0.1"),
        (lambda: cell("17.05.1990", "date", datevalue="1990-05-17"), "1990-05-17"),
        (lambda: cell("01.03.2024 10:30", "date", datevalue="2024-03-01T10:30:00"), "2024-03-01 10:30:00"),
        (lambda: cell("31.12.2024 00:00", "date", datevalue="2024-12-31T00:00:00"), "2024-12-31 00:00:00"),
        (lambda: cell("10:30", "time", timevalue="PT10H30M00S"), "10:30:00"),
        (lambda: cell("WAHR", "boolean", booleanvalue="true"), "TRUE"),
        (lambda: cell("one\ntwo"), "one\ntwo"),
    ],
)
def test_ods_cell_gives_the_displayed_value(load, made, text):
    loaded = load(ods(["value"], [made()]))
    assert loaded.cells == [(text,)]
    assert loaded.codes == [[]]


def test_blanks_in_ods_text_are_kept(load):
    spaced = cell("")
    paragraph = P(text="a")
    paragraph.addElement(S(c=3))
    paragraph.addText("b")
    spaced.addElement(paragraph)
    assert load(ods(["value"], [spaced])).cells == [("a   b",)]


def test_ods_display_that_differs_is_reported(load):
    loaded = load(ods(["value"], [cell("00123", "float", value="123")]))
    assert loaded.cells == [("123",)]
    assert loaded.notices["number_format"].rows == (2,)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda: cell("#N/A", formula="of:=NA()"), "excel_error"),
        (lambda: cell("Err:502", "float", value="0", formula="of:=X"), "excel_error"),
        (lambda: cell("", "", formula="of:=LOWER([.B2])"), "formula_without_value"),
        (lambda: cell("1,2E+19", "float", value="12345678901234567890"), "digits_lost"),
    ],
    ids=["error", "error of LibreOffice", "formula", "digits"],
)
def test_ods_cell_problems_are_reported(load, made, code):
    loaded = load(ods(["value"], [made()]))
    assert loaded.codes == [[code]]
    assert "A2 (column 'value')" in loaded.said


def test_typed_error_text_is_text(load):
    assert load(ods(["value"], ["#N/A"])).cells == [("#N/A",)]


def test_repeated_ods_rows_and_cells_are_counted(load):
    data = ods(
        ["id", "a", "b"],
        [{"numberrowsrepeated": 2}, cell("x"), cell("y", numbercolumnsrepeated=2)],
        [{"numberrowsrepeated": 3}, cell("", "", numbercolumnsrepeated=16384)],
        ["z"],
        [{"numberrowsrepeated": 1048570}, cell("", "", numbercolumnsrepeated=16384)],
    )
    loaded = load(data)
    assert loaded.numbers == [2, 3, 7]
    assert loaded.cells == [("x", "y", "y"), ("x", "y", "y"), ("z", "", "")]


def test_ods_merges_and_hidden_rows_and_columns_are_reported(load):
    data = ods(
        ["email", "name"],
        [cell("a@example.com", numberrowsspanned=2, numbercolumnsspanned=1), "Anna"],
        [{"visibility": "filter"}, CoveredTableCell(), cell("Boris")],
        columns=({}, {"visibility": "collapse"}),
    )
    loaded = load(data)
    assert loaded.codes == [[], ["merged_cell"]]
    assert "part of the merged cell A2:A3" in loaded.said
    assert loaded.notices["hidden_rows"].rows == (3,)
    assert "column 'name'" in str(loaded.notices["hidden_columns"].message)


def test_hidden_ods_sheet_is_not_selected_by_default(load):
    data = ods(["id"], hidden=("Old",))
    with pytest.raises(InputError, match="no rows"):
        load(data)
    assert load(ods(["id"], ["1"])).table.sheet == "Leads"


def xls(
    rows: list[list[Any]],
    *,
    visible: bool = True,
    more: tuple[str, ...] = (),
    fill: Callable[[Any], None] = lambda sheet: None,
) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Leads")
    day = xlwt.easyxf(num_format_str="DD.MM.YYYY")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if isinstance(value, dt.date):
                sheet.write(number, column, value, day)
            elif value is not None:
                sheet.write(number, column, value)
    fill(sheet)
    sheet.visibility = 0 if visible else 1
    for name in more:
        book.add_sheet(name).write(0, 0, "id")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_xls_cell_gives_the_displayed_value(load):
    loaded = load(
        xls([["id", "n", "day", "yes"], ["000123", 1001, dt.date(1990, 5, 17), True], [7.5, "NA", None, False]])
    )
    assert loaded.cells == [("000123", "1001", "1990-05-17", "TRUE"), ("7.5", "NA", "", "FALSE")]
    assert loaded.numbers == [2, 3]


def test_blank_xls_rows_keep_the_row_numbers(load):
    loaded = load(xls([[None], [None], ["id", "x"], ["1", None], [None], ["2", "y"]]))
    assert (loaded.table.header_row, loaded.numbers) == (3, [4, 6])


def test_xls_number_with_lost_digits_is_refused(load):
    assert load(xls([["id"], [12345678901234567890]])).codes == [["digits_lost"]]


def test_xls_error_cell_is_not_blank(load):
    def fill(sheet: Any) -> None:
        sheet.row(1).set_cell_error(0, 0x2A)

    loaded = load(xls([["id", "name"], [None, "Anna"], ["2", "Boris"]], fill=fill))
    assert loaded.codes == [["excel_error"], []]
    assert loaded.said == "A2 (column 'id') holds the Excel error #N/A."


def test_hidden_xls_rows_and_columns_are_reported(load):
    def fill(sheet: Any) -> None:
        sheet.row(2).hidden = True
        sheet.col(1).hidden = True

    loaded = load(xls([["id", "name"], ["1", "Anna"], ["2", "Boris"]], fill=fill))
    assert loaded.notices["hidden_rows"].rows == (3,)
    assert "column 'name'" in str(loaded.notices["hidden_columns"].message)


def test_xls_display_that_differs_is_reported(load):
    def fill(sheet: Any) -> None:
        zeros = xlwt.easyxf(num_format_str="00000")
        sheet.write(1, 0, 123, zeros)
        sheet.write(1, 1, 124, zeros)
        sheet.write(2, 0, 0.1, zeros)

    loaded = load(xls([["id", "n"]], fill=fill))
    assert loaded.cells == [("123", "124"), ("0.1", "")]
    told = [(str(notice.message).split("'")[1], notice.rows) for notice in loaded.table.notices]
    assert told == [("id", (2, 3)), ("n", (2,))]


@pytest.mark.parametrize(
    ("serial", "shown", "text"),
    [
        (33010.4375, "DD.MM.YYYY HH:MM", "1990-05-17 10:30:00"),
        (33010, "DD.MM.YYYY HH:MM", "1990-05-17 00:00:00"),
        (33010, '[$-419]DD MMMM YYYY"г.";@', "1990-05-17"),
        (60, "DD.MM.YYYY", "1900-02-29"),
        (0.4375, "HH:MM", "10:30:00"),
        (1.5, "[h]:mm:ss", "36:00:00"),
    ],
)
def test_xls_date_equals_the_xlsx_date(load, serial, shown, text):
    def fill(sheet: Any) -> None:
        sheet.write(1, 0, serial, xlwt.easyxf(num_format_str=shown))

    assert load(xls([["when"]], fill=fill)).cells == [(text,)]


def test_xls_time_counted_from_1904_has_no_day(load):
    def fill(sheet: Any) -> None:
        sheet.parent.dates_1904 = True
        sheet.write(1, 0, 0.4375, xlwt.easyxf(num_format_str="HH:MM"))
        sheet.write(1, 1, 31548, xlwt.easyxf(num_format_str="DD.MM.YYYY"))

    assert load(xls([["when", "day"]], fill=fill)).cells == [("10:30:00", "1990-05-17")]


@pytest.mark.parametrize("from_1904", [False, True])
def test_xls_date_after_the_last_day_refuses_only_its_cell(load, from_1904):
    def fill(sheet: Any) -> None:
        sheet.parent.dates_1904 = from_1904
        sheet.write(1, 1, 1e15, xlwt.easyxf(num_format_str="DD.MM.YYYY"))
        sheet.write(2, 1, 2_957_004, xlwt.easyxf(num_format_str="DD.MM.YYYY"))

    loaded = load(xls([["id", "day"], ["1"], ["2"], ["3"]], fill=fill))
    assert [cells[0] for cells in loaded.cells] == ["1", "2", "3"]
    assert loaded.codes == [["date_out_of_range"], ["date_out_of_range"] if from_1904 else [], []]


def test_lone_surrogate_in_xls_refuses_only_its_cell(load):
    emoji, half = "😀".encode("utf-16-le"), "😀".encode("utf-16-le")[:2] + b"A\0"
    data = xls([["id", "name"], ["1", "x😀"], ["2", "Anna"]])
    assert load(data.replace(emoji, half)).cells == [("1", "x\ufffdA"), ("2", "Anna")]


def test_xls_with_shared_sectors_is_read(load):
    """PHPExcel writes such workbooks: https://github.com/python-excel/xlrd/issues/285."""
    data = bytearray(xls([["id"], ["1"]]))
    root = 512 * (1 + struct.unpack_from("<I", data, 48)[0])
    data[root + 116 : root + 124] = data[root + 128 + 116 : root + 128 + 124]
    assert load(bytes(data)).cells == [("1",)]


def test_excel_95_xls_is_read(load, tmp_path):
    """Its texts are in a code page, not in Unicode. Source: [MS-XLS] section 2.4, with the older version numbers."""

    def record(kind: int, layout: str, *values: Any) -> bytes:
        content = struct.pack(f"<{layout}", *values)
        return struct.pack("<2H", kind, len(content)) + content

    def text(row: int, column: int, value: str) -> bytes:
        return record(0x204, f"4H{len(value)}s", row, column, 0, len(value), value.encode("cp1251"))

    book = record(0x809, "4H", 0x500, 5, 0, 0) + record(0x42, "H", 1251)
    end = record(0x0A, "")
    begin = len(book) + len(record(0x85, "I2xB5s", 0, 5, b"Leads")) + len(end)
    book += record(0x85, "I2xB5s", begin, 5, b"Leads") + end
    book += record(0x809, "4H", 0x500, 16, 0, 0) + text(0, 0, "имя") + text(0, 1, "n") + text(1, 0, "Анна")
    book += record(0x203, "3Hd", 1, 1, 0, 7.0) + text(2, 0, "Борис") + record(0x205, "3H2B", 2, 1, 0, 0x2A, 1) + end
    XlsDoc().save(str(tmp_path / "95.xls"), book)
    loaded = load(tmp_path / "95.xls")
    assert loaded.cells == [("Анна", "7"), ("Борис", "")]
    assert loaded.codes == [[], ["excel_error"]]


def test_merged_xls_cells_have_no_value_of_their_own(load):
    def fill(sheet: Any) -> None:
        sheet.write_merge(1, 2, 0, 0, "a@example.com")

    assert load(xls([["email", "n"], [None, "1"], [None, "2"]], fill=fill)).codes == [[], ["merged_cell"]]


def test_all_sheets_of_a_long_xls_are_read(load):
    rows: list[list[Any]] = [["id", "n"], *[[f"r{number}", number] for number in range(3_000)]]
    loaded = load(xls(rows))
    assert loaded.cells[-1] == ("r2999", "2999")
    assert not loaded.table.notices


def test_xls_sheets_are_selected_like_others(load):
    with pytest.raises(InputError, match="'Leads', 'More'"):
        load(xls([["id"], ["1"]], more=("More",)))
    assert load(xls([["id"], ["1"]], more=("More",)), sheet="leads").cells == [("1",)]
    with pytest.raises(InputError, match="no rows"):
        load(xls([["id"], ["1"]], visible=False, more=("More",)))


@pytest.mark.parametrize("size", [600, 3000, 5000])
def test_damaged_xls_is_one_error(load, size):
    with pytest.raises(InputError):
        load(xls([["id"], ["1"]])[:size])
