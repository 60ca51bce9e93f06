"""How cells are separated, and where the header is."""

from __future__ import annotations

import pytest

from batch_enroll.errors import InputError


@pytest.mark.parametrize(
    ("delimiter", "form"),
    [
        (",", "CSV, UTF-8, separated by ','"),
        (";", "CSV, UTF-8, separated by ';'"),
        ("\t", "CSV, UTF-8, separated by tabs"),
        ("|", "CSV, UTF-8, separated by '|'"),
    ],
)
@pytest.mark.parametrize("wanted", [(), ("email",)])
def test_usual_delimiters_are_detected(load, delimiter, form, wanted):
    rows = [["email", "name", "city"], ["a@example.com", "Anna", "Tver"], ["b@example.com", "", "Tula"]]
    loaded = load("\n".join(delimiter.join(row) for row in rows) + "\n", wanted=wanted)
    assert loaded.table.columns == ("email", "name", "city")
    assert str(loaded.table.form) == form


def test_commas_in_cells_do_not_split_a_semicolon_file(load):
    loaded = load("email;full name;balance\na@example.com;Ivanova, Anna;1500,50\nb@example.com;Petrov, Boris;-20,00\n")
    assert loaded.cells == [("a@example.com", "Ivanova, Anna", "1500,50"), ("b@example.com", "Petrov, Boris", "-20,00")]


def test_single_column_is_not_split(load):
    loaded = load("name\nIvanova, Anna\nPetrov; Boris\nOrlov\n", wanted=("name",))
    assert loaded.cells == [("Ivanova, Anna",), ("Petrov; Boris",), ("Orlov",)]
    assert str(loaded.table.form) == "CSV, UTF-8, a single column"


def test_ambiguous_delimiter_is_an_error(load):
    with pytest.raises(InputError, match="may be separated by ',' or by ';'") as caught:
        load("a,b;c,d\n1,2;3,4\n5,6;7,8\n")
    assert "input.delimiter" in caught.value.hint
    assert load("a,b;c,d\n1,2;3,4\n", delimiter=";").table.columns == ("a,b", "c,d")
    assert load("id,b;c,d\n1,2;3,4\n", wanted=("id",)).table.columns == ("id", "b;c", "d")


@pytest.mark.parametrize(("given", "text"), [("tab", "a\tb\n1\t2\n"), ("\\t", "a\tb\n1\t2\n"), ("^", "a^b\n1^2\n")])
def test_delimiter_can_be_set(load, given, text):
    assert load(text, delimiter=given).cells == [("1", "2")]


@pytest.mark.parametrize("given", ["", ",,", '"', "\n"])
def test_invalid_delimiter_is_refused(load, given):
    with pytest.raises(InputError, match="cannot separate columns"):
        load("a,b\n1,2\n", delimiter=given)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;"])
def test_excel_sep_line_is_not_the_header(load, first):
    loaded = load(f"\ufeff{first}\r\nemail;tags\r\na@example.com;vip, new\r\n", wanted=("email",))
    assert loaded.table.columns == ("email", "tags")
    assert loaded.table.header_row == 2
    assert loaded.numbers == [3]


def test_set_delimiter_skips_the_sep_line(load):
    assert load("sep=,\nid;name\n1;Anna, B\n", delimiter=";").cells == [("1", "Anna, B")]


def test_prose_is_not_a_table(load):
    with pytest.raises(InputError, match="does not look like a table"):
        load("Dear all,\nplease find, as agreed, the list, below.\nIt is long\nand winding, truly.\nBye, me, you, us\n")


TITLES = "Customer export,,\nGenerated 12.03.2026,,\n,,\n"
TABLE = "email,name,city\na@example.com,Anna,Tver\nb@example.com,Boris,Tula\n"


@pytest.mark.parametrize("wanted", [(), ("email",), ("email", "city")])
def test_title_rows_above_the_header_are_skipped_with_a_note(load, wanted):
    loaded = load(TITLES + TABLE, wanted=wanted)
    assert loaded.table.header_row == 4
    assert loaded.numbers == [5, 6]
    assert "line 4" in str(loaded.notices["header_found"].message)


def test_title_without_delimiters_is_skipped(load):
    loaded = load("Customer export\n\n" + TABLE.replace(",", ";"), wanted=("email",))
    assert (loaded.table.header_row, loaded.numbers) == (3, [4, 5])


def test_set_header_row_gives_no_note(load):
    loaded = load(TITLES + TABLE, wanted=("email",), header_row=4)
    assert loaded.numbers == [5, 6]
    assert not loaded.table.notices


@pytest.mark.parametrize("row", [3, 99])
def test_empty_set_header_row_is_refused(load, row):
    with pytest.raises(InputError, match=f"Line {row}, named as the header, is empty") as caught:
        load(TITLES + TABLE, header_row=row)
    assert "Customer export" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com,Anna,Tver\nb@example.com,Boris,Tula\n",
        "Anna,+7 900 000-00-01,Tver\nBoris,+7 900 000-00-02,Tula\n",
        "1001,25\n1002,30\n",
        "1001\n1002\n1003\n",
    ],
)
@pytest.mark.parametrize("wanted", [(), ("email",)])
def test_first_data_row_is_not_used_as_header(load, text, wanted):
    with pytest.raises(InputError, match="looks like data"):
        load(text, wanted=wanted)


def test_data_cell_equal_to_the_column_name_is_not_a_header(load):
    text = "address,channel\na@example.com,email\nb@example.com,sms\n"
    with pytest.raises(InputError, match=r"There is no column|looks like data"):
        load(text, wanted=("email",))


def test_ambiguous_header_row_is_an_error(load):
    text = "Kontakt,Person,Ort\nemail,name,city\na@example.com,Anna,Tver\n"
    with pytest.raises(InputError, match="Line 1 has no column 'email', but line 2 has") as caught:
        load(text, wanted=("email",))
    assert "set `input.header_row` to 2" in caught.value.hint


def test_address_above_the_header_is_not_a_title(load):
    with pytest.raises(InputError, match="line 2 has: it looks like the header"):
        load("a@example.com,,\nemail,name,city\nb@example.com,Boris,Tula\n", wanted=("email",))


def test_missing_column_lists_the_existing_columns(load):
    with pytest.raises(InputError, match="There is no column 'e-mail'") as caught:
        load(TABLE, wanted=("e-mail", "city"))
    assert "Did you mean 'email'?" in caught.value.hint
    assert "'city'" in caught.value.hint


def test_duplicate_and_empty_names_are_kept(load):
    assert load("id,,name,name\n1,x,A,B\n").table.columns == ("id", "", "name", "name")
    with pytest.raises(InputError, match="same name 'name'"):
        load("id,,name,name\n1,x,A,B\n", wanted=("name",))


def test_header_with_another_delimiter_is_refused(load):
    with pytest.raises(InputError, match="The header is separated by ';', but the rows below it by ','"):
        load("id;name;city\n1,Anna,Tver\n2,Boris,Tula\n", wanted=("id",))


def test_years_are_valid_column_names(load):
    assert load("name,2023,2024,2025\nAnna,1,2,3\n").table.columns == ("name", "2023", "2024", "2025")


def test_first_row_with_the_wanted_names_is_the_header(load):
    assert load("id,100,200\n1,2,3\n", wanted=("id",)).numbers == [2]
