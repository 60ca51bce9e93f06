"""Cells of .xlsx: what a person reads there, or what is wrong with them."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.worksheet.worksheet import Worksheet

from batch_enroll.errors import InputError


def written(fill: Callable[[Any, Any], object], **options: Any) -> bytes:
    """A workbook with one sheet, by xlsxwriter: `fill(book, sheet)`."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, **options})
    fill(book, book.add_worksheet("Leads"))
    book.close()
    return out.getvalue()


def saved(fill: Callable[[Worksheet], object]) -> bytes:
    """A workbook with one sheet, by openpyxl."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    fill(sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def one_cell(value: object, number_format: str = "General") -> bytes:
    """A workbook with one column, `value`, and this value in A2."""

    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "value"
        sheet["A2"] = value  # type: ignore[assignment]
        sheet["A2"].number_format = number_format

    return saved(fill)


def patched(data: bytes, old: str, new: str, part: str = "xl/worksheets/sheet1.xml") -> bytes:
    """The same workbook with something else in the XML of a part."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == part:
                assert old.encode() in content, content
                content = content.replace(old.encode(), new.encode())
            target.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        ("000123", "@", "000123"),
        ("5e10", "General", "5e10"),
        (" =x ", "General", " =x "),
        ("a\nb", "General", "a\nb"),
        (1001, "General", "1001"),
        (1001.0, "General", "1001"),
        (79000000001, "General", "79000000001"),
        (999999999999999, "General", "999999999999999"),
        (-5, "General", "-5"),
        (0, "General", "0"),
        (0.1, "General", "0.1"),
        (0.1 + 0.2, "General", "0.3"),
        (19.989999999999998, "General", "19.99"),
        (0.0000001, "General", "0.0000001"),
        (1234567.891, "General", "1234567.891"),
        (True, "General", "TRUE"),
        (False, "General", "FALSE"),
        (dt.date(1990, 5, 17), "dd.mm.yyyy", "1990-05-17"),
        (dt.date(2024, 2, 29), "d mmm yy", "2024-02-29"),
        (dt.date(2024, 2, 29), '[$-419]d mmmm yyyy "г."', "2024-02-29"),
        (dt.datetime.fromisoformat("2024-03-01 10:30"), "dd.mm.yyyy hh:mm", "2024-03-01 10:30:00"),
        (dt.datetime.fromisoformat("2024-12-31"), "yyyy-mm-dd hh:mm:ss", "2024-12-31 00:00:00"),
        (dt.datetime.fromisoformat("2024-03-01 10:30"), "dd.mm.yyyy", "2024-03-01 10:30:00"),
        (dt.datetime.fromisoformat("2024-03-01 10:30:15.500"), "yyyy-mm-dd hh:mm:ss.0", "2024-03-01 10:30:15.500"),
        (dt.time(10, 30), "hh:mm", "10:30:00"),
        (dt.time(0, 0), "h:mm AM/PM", "00:00:00"),
        (dt.timedelta(hours=36), "[h]:mm:ss", "36:00:00"),
        (60, "yyyy-mm-dd", "1900-02-29"),
        (1, "yyyy-mm-dd", "1900-01-01"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (5, "#,##0", "5"),
        (5, "0.00", "5"),
        (5, '"ID-"0', "5"),
    ],
)
def test_cell_gives_the_displayed_value(load, value, number_format, text):
    loaded = load(one_cell(value, number_format))
    assert loaded.cells == [(text,)]
    assert loaded.codes == [[]]


def test_dates_counted_from_1904_are_the_same_days(load):
    data = written(
        lambda book, sheet: (
            sheet.write("A1", "day"),
            sheet.write("A2", dt.date(1990, 5, 17), book.add_format({"num_format": "yyyy-mm-dd"})),
        ),
        date_1904=True,
    )
    assert load(data).cells == [("1990-05-17",)]


def test_time_counted_from_1904_has_no_day(load):
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "time")
        sheet.write("A2", 0.4375, book.add_format({"num_format": "hh:mm"}))

    assert load(written(fill, date_1904=True)).cells == [("10:30:00",)]


def test_date_after_the_last_day_refuses_only_its_cell(load):
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_column("A1", ["id", "1", "2"])
        sheet.write_column("B1", ["day", 2_957_003, 2_957_004], book.add_format({"num_format": "yyyy-mm-dd"}))

    loaded = load(written(fill, date_1904=True))
    assert loaded.cells == [("1", "9999-12-31"), ("2", "")]
    assert loaded.codes == [[], ["date_out_of_range"]]


@pytest.mark.parametrize(
    ("value", "number_format"),
    [(123, "00000"), (79000000001, "0.00E+00"), (1500, "#,##0"), (0.25, "0%"), (5, '"ID-"0'), (12.7, "0"), (3, "0.00")],
)
def test_display_that_differs_is_reported(load, value, number_format):
    notice = load(one_cell(value, number_format)).notices["number_format"]
    assert notice.rows == (2,)
    assert "column 'value'" in str(notice.message)
    assert number_format in str(notice.message)


@pytest.mark.parametrize(
    ("value", "number_format"), [(123, "General"), (123, "0"), (123, "@"), (123, "#"), ("1", "00")]
)
def test_display_equal_to_the_value_is_not_reported(load, value, number_format):
    assert not load(one_cell(value, number_format)).table.notices


@pytest.mark.parametrize(
    "stored", ["1000000000000000", "12345678901234567890", "1.2345678901234567E+19", "-1E+15", "1E+300"]
)
def test_number_with_lost_digits_is_refused(load, stored):
    loaded = load(patched(one_cell(7), "<v>7</v>", f"<v>{stored}</v>"))
    assert loaded.codes == [["digits_lost"]]
    assert loaded.rows[0].problems[0].column == 0
    assert "A2 (column 'value')" in loaded.said
    assert "E+" in loaded.cells[0][0], "it goes back to a person in a form that is refused again"


@pytest.mark.parametrize(
    "stored", ["79000000001", "7.9000000001E10", "7.9000000001E+10", "79000000001.0", "0079000000001"]
)
def test_all_stored_digits_are_used(load, stored):
    assert load(patched(one_cell(7), "<v>7</v>", f"<v>{stored}</v>")).cells == [("79000000001",)]


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#SPILL!"])
def test_error_cell_is_neither_value_nor_blank(load, error):
    data = patched(one_cell(True), 't="b"><v>1</v>', f't="e"><v>{error}</v>')
    loaded = load(data)
    assert loaded.codes == [["excel_error"]]
    assert loaded.said == f"A2 (column 'value') holds the Excel error {error}."
    assert loaded.cells == [("",)]


def test_formula_without_a_result_is_not_blank(load):
    loaded = load(one_cell("=LOWER(B2)"))
    assert loaded.codes == [["formula_without_value"]]
    assert loaded.cells == [("",)]


def test_uncomputed_formula_result_is_not_zero(load):
    data = written(lambda book, sheet: (sheet.write("A1", "value"), sheet.write_formula("A2", "=LOWER(B2)")))
    assert load(data).codes == [["formula_without_value"]]


@pytest.mark.parametrize(("result", "text"), [("anna@example.com", "anna@example.com"), (42, "42"), (True, "TRUE")])
def test_stored_formula_result_is_the_value(load, result, text):
    data = written(
        lambda book, sheet: (
            sheet.write_row("A1", ["value", "name"]),
            sheet.write_formula("A2", "=X1", None, result),
            sheet.write("B2", "Anna"),
        )
    )
    loaded = load(data)
    assert loaded.cells == [(text, "Anna")]
    assert loaded.codes == [[]]


def test_formula_with_an_empty_text_result_is_blank(load):
    data = patched(saved(people), 't="inlineStr"><is><t>Anna</t></is>', 't="str"><f>X1</f><v></v>')
    loaded = load(data)
    assert loaded.cells[0] == ("a@example.com", "", "Tver")
    assert loaded.codes == [[], []]


def people(sheet: Worksheet) -> None:
    for row in (["email", "name", "city"], ["a@example.com", "Anna", "Tver"], ["b@example.com", "Boris", "Tula"]):
        sheet.append(row)


def test_merged_cells_have_no_value_of_their_own(load):
    def fill(sheet: Worksheet) -> None:
        people(sheet)
        sheet.append(["c@example.com", "Clara", "Omsk"])
        sheet.merge_cells("A2:A3")
        sheet.merge_cells("B4:C4")

    loaded = load(saved(fill))
    assert [[(problem.code, problem.column) for problem in row.problems] for row in loaded.rows] == [
        [],
        [("merged_cell", 0)],
        [("merged_cell", 2)],
    ]
    assert "A3 (column 'email') has no value of its own: it is part of the merged cell A2:A3" in loaded.said
    assert loaded.notices["merged_cells"].rows == (3, 4)


def test_value_hidden_by_a_merge_is_not_used(load):
    data = patched(
        saved(people), "</sheetData>", '</sheetData><mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>'
    )
    assert [cells[0] for cells in load(data).cells] == ["a@example.com", ""]


def test_title_merged_over_the_table_is_ignored(load):
    def fill(sheet: Worksheet) -> None:
        sheet["A1"] = "Customers of March"
        sheet.merge_cells("A1:C1")
        people(sheet)

    loaded = load(saved(fill), wanted=("email",))
    assert loaded.numbers == [3, 4]
    assert list(loaded.notices) == ["header_found"]


def test_hidden_rows_and_columns_are_read_and_reported(load):
    def fill(sheet: Worksheet) -> None:
        people(sheet)
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["C"].hidden = True

    loaded = load(saved(fill))
    assert loaded.numbers == [2, 3]
    assert (loaded.notices["hidden_rows"].count, loaded.notices["hidden_rows"].rows) == (1, (3,))
    assert "column 'city'" in str(loaded.notices["hidden_columns"].message)


def test_blank_and_ghost_rows_are_skipped_and_keep_numbers(load):
    def fill(sheet: Worksheet) -> None:
        people(sheet)
        sheet["A9"] = "c@example.com"
        for row in (5, 7, 60_000, 1_048_576):
            sheet[f"A{row}"].number_format = "00000"
        sheet["B6"] = "  "

    assert load(saved(fill)).numbers == [2, 3, 9]


def test_million_ghost_rows_need_little_memory(load):
    ghosts = "".join(f'<row r="{row}"><c r="A{row}" s="0"/></row>' for row in range(10, 100_000))
    data = patched(saved(people), "</sheetData>", f"{ghosts}</sheetData>")
    assert load(data).numbers == [2, 3]


def test_values_without_a_header_are_reported(load):
    def fill(sheet: Worksheet) -> None:
        people(sheet)
        sheet["E3"] = "call back"

    loaded = load(saved(fill))
    assert loaded.notices["cells_without_header"].rows == (3,)
    assert loaded.cells[1] == ("b@example.com", "Boris", "Tula")


def test_table_starting_at_the_right_keeps_column_letters(load):
    def fill(sheet: Worksheet) -> None:
        sheet["C5"], sheet["D5"], sheet["C6"], sheet["D6"] = "email", "n", "a@example.com", "=1/0"

    loaded = load(saved(fill))
    assert loaded.table.columns == ("", "", "email", "n")
    assert loaded.numbers == [6]
    assert loaded.said.startswith("D6 (column 'n') is a formula")


def sheets(*names: str, hidden: tuple[str, ...] = (), blank: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name in names:
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name in hidden else "visible"
        if name in blank:
            sheet["B2"].number_format = "00"
        else:
            sheet.append(["id"])
            sheet.append([name])
    book.create_chartsheet("Chart")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_only_visible_sheet_is_read(load):
    loaded = load(sheets("Old", "Leads", "Older", hidden=("Old", "Older")))
    assert (loaded.table.sheet, loaded.cells) == ("Leads", [("Leads",)])


def test_only_filled_sheet_is_read(load):
    assert load(sheets("Sheet1", "Leads", "Sheet3", blank=("Sheet1", "Sheet3"))).table.sheet == "Leads"


def test_several_sheets_are_an_error(load):
    with pytest.raises(InputError, match="The workbook has 2 sheets: 'Active', 'Gone'") as caught:
        load(sheets("Active", "Gone", "Old", "Empty", hidden=("Old",), blank=("Empty",)))
    assert "input.sheet" in caught.value.hint


@pytest.mark.parametrize("name", ["Gone", "gone", "Old"])
def test_set_sheet_is_read(load, name):
    loaded = load(sheets("Active", "Gone", "Old", hidden=("Old",)), sheet=name)
    assert loaded.table.sheet == name.title()


def test_missing_sheet_suggests_the_nearest_and_lists_all(load):
    with pytest.raises(InputError, match="There is no sheet 'Activ'") as caught:
        load(sheets("Active", "Old", hidden=("Old",)), sheet="Activ")
    assert caught.value.hint.startswith("Did you mean 'Active'? The sheets are: 'Active', 'Old' (hidden). Name one in")


def test_workbook_with_empty_visible_sheets_is_refused(load):
    with pytest.raises(InputError, match="hidden sheets: 'Old'"):
        load(sheets("A", "B", "Old", hidden=("Old",), blank=("A", "B")))
    with pytest.raises(InputError, match="The workbook is empty"):
        load(sheets("A", "B", blank=("A", "B")))


@pytest.mark.parametrize("cell", ['<c r="A2" t="inlineStr"><is><r><t>an</t></r><r><rPr/><t>na</t></r></is></c>'])
def test_rich_text_runs_are_joined(load, cell):
    data = patched(one_cell(True), '<c r="A2" t="b"><v>1</v></c>', cell)
    assert load(data).cells == [("anna",)]


def test_cells_and_rows_without_references_are_positional(load):
    data = patched(saved(people), ' r="B2"', "")
    data = patched(data, '<row r="3">', "<row>")
    assert [cells[1] for cells in load(data).cells] == ["Anna", "Boris"]
    assert load(data).numbers == [2, 3]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<v>7</v>", "<v>seven</v>"),
        ('t="n"><v>7</v>', 't="s"><v>99</v>'),
        ("</sheetData>", "</sheet"),
        ('r="A2"', 'r="ZZZZZZ2"'),
        ('<row r="2"', '<row r="two"'),
        ("<worksheet", '<!DOCTYPE a [<!ENTITY b "c">]><worksheet'),
    ],
)
def test_damaged_sheet_is_one_error(load, old, new):
    with pytest.raises(InputError, match="is damaged"):
        load(patched(one_cell(7), old, new))


def test_missing_sheet_part_is_one_error(load):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(one_cell(7))) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            if "sheet1" not in name:
                target.writestr(name, source.read(name))
    with pytest.raises(InputError, match="is damaged"):
        load(out.getvalue())


def test_strict_ooxml_is_read_like_transitional(load):
    data = one_cell("x")
    for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"):
        data = patched(
            data,
            "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
            "http://purl.oclc.org/ooxml/spreadsheetml/main",
            part,
        )
    assert load(data).cells == [("x",)]
