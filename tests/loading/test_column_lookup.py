"""A column is found by what people see of its name."""

from __future__ import annotations

import pytest

from batch_enroll.column_lookup import column_letter, find_column, visible
from batch_enroll.errors import InputError


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("email", "email"),
        ("E-Mail", "e-mail"),
        ("\u200bE-Mail\xa0", "e-mail"),
        ("\ufeffemail", "email"),
        ("e\u00admail", "email"),
        (" First  Name ", "first name"),
        ("First\nName", "First Name"),
        ("First\xa0Name", "First Name"),
        ("Имe\u0301", "ИМÉ".replace("М", "м")),
        ("Prénom", "Pre\u0301nom"),
        ("Город", "город"),
        ("Straße", "STRASSE"),
    ],
)
def test_column_match_ignores_case_and_invisible_characters(column, name):
    assert find_column(["other", column], name) == 1


def test_exact_match_wins():
    assert find_column(["Email", "email", "EMAIL"], "email") == 1


@pytest.mark.parametrize("columns", [["email", "name", "email"], ["Email", "name", "EMAIL"]])
def test_ambiguous_column_name_is_refused(columns):
    with pytest.raises(InputError, match=r"2 columns have the same name 'email': columns 1 \(A\), 3 \(C\)"):
        find_column(columns, "email")


def test_missing_column_suggests_the_nearest_and_lists_all():
    with pytest.raises(InputError) as caught:
        find_column(["E-mail", "", "Город"], "emial")
    assert "There is no column 'emial'" in caught.value.message
    assert caught.value.hint == "Did you mean 'E-mail'? The columns are: 'E-mail', B (without a name), 'Город'."


@pytest.mark.parametrize("name", ["", " ", "\u200b"])
def test_column_without_a_name_cannot_be_selected(name):
    with pytest.raises(InputError, match="There is no column"):
        find_column(["email", "", " "], name)


@pytest.mark.parametrize(("index", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_have_spreadsheet_letters(index, letter):
    assert column_letter(index) == letter


@pytest.mark.parametrize(
    ("text", "seen"), [("\u2800\u3164", ""), ("\x00\x1a", ""), (" a\t\u200bb \n", "a b"), ("нет", "нет")]
)
def test_hidden_characters_are_left_out(text, seen):
    assert visible(text) == seen
