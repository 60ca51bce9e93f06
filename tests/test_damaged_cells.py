"""What spreadsheets and programs leave of a value, through the command line; one run tries many values."""

from __future__ import annotations

import pytest

DAMAGED = {
    "an error of a spreadsheet": ("#N/A", "#ССЫЛКА!", "########", " #REF! ", "Err:502", "#NV"),
    "is a rounded number": ("79.0E+9", "7.9E+10", "7,9E+10", "7.9e10", "1E+06"),
    "number with decimals": ("1001.0", "1001.00", "1001,0"),
    "between thousands": ("1 001", "1,001", "1\u00a0001", "1\u202f001", "12'345'678"),
    "is a date": ("02.янв", "2-Jan", "Jan-02", "янв.02", "05-мая", "Mar-2024", "1-Sep-24", "2026-01-02 00:00:00"),
    "lost": ("????", "A-??", "100\ufffd"),
    "garbled": ("РђРЅРЅР°", "Ð\u0090Ð½Ð½Ð°", "Ãœser"),
    "invisible": ("10\u200b01", "10\u00ad02", "10\x1a", "10\x0702", "1\u202e2"),
    "two alphabets": ("Id\u043e1", "100А\u0042-X"),
}
USUAL_IDS = (
    *("A-1001", "1001-0", "10.01", "1.5.0", "2024-01", "MARK-12", "Mayer-1", "DECO-1", "SEP-1001", "Anna-7", "Клиент7"),
    *("12/345", "1001/2", "a.b@c", "3-15", "1234 567", "12,34", "AB 123", "#1001", "What?", "Ärzte", "Żółć", "1E5"),
)
USUAL_CONTENT = ("#SALE!", "#1", "## note", "What??", "Ещё: №5 «Роза» – Рёв", "São João", "Über Ärger")
GARBLED = ("Ð\u0090Ð½Ð½Ð°", "РђРЅРЅР°", "Ñ\u0082Ð°Ð¼", "Àííà Èâàíîâà", "JosÃ©", "it’s â€“ ok")
TWO_PHONES = (
    *("123-45-67/765-43-21", "123-45-67 / 765-43-21", "84951234567 (123)", "8 (495) 123-45-67/68", "1234567 7654321"),
    *("8 495 123-45-67 (доб. 5)", "84951234567 ext 5", "84951234567, 84951234568"),
)
PHONES = ("089/1234567", "8 (495) 123-45-67", "030 / 123 456", "8 900 123 45 67", "8 9001234567", "+79000000001")


def table(*values: str, header: str = "client_id") -> str:
    """Tab-separated values; each has a name beside it."""
    return f"{header}\tname\n" + "".join(f"{value}\tName {number}\n" for number, value in enumerate(values))


def messages(played):
    """The message of each row."""
    at = played.results[0].index("enroll_message")
    return [line[at] for line in played.results[1:]]


@pytest.mark.parametrize("matching", ["custom", "profile_id"])
def test_damaged_id_is_refused(send, matching):
    values = [(value, told) for told, group in DAMAGED.items() for value in group]
    played = send(table("B-1", *(value for value, _ in values), "C-3"), matching=matching)
    assert played.sent == ("B-1", *[None] * len(values), "C-3")
    assert [value for (value, told), said in zip(values, messages(played)[1:], strict=False) if told not in said] == []


def test_usual_ids_are_sent_as_they_stand(send):
    played = send(table(*USUAL_IDS))
    assert played.sent == USUAL_IDS


def test_text_kept_from_a_spreadsheet_is_unwrapped(send):
    played = send(table("1001", '="000123"', "'000124", '="a""b"', "1003"))
    assert played.sent == ("1001", "000123", "000124", 'a"b', "1003")
    assert "=\"…\" in 'client_id' in 2 rows" in played.said
    assert "apostrophe before the 'client_id' in 1 row" in played.said
    assert played.results[2][0] == '\'="000123"', "results repeat the cell"


def test_formula_text_is_unwrapped_in_every_column(send):
    rows = 'anna@example.com,"=""000123"""\n"=""b@example.com""",\n'
    played = send(f"email,code\n{rows}", column="email", matching="email", content=("code",))
    assert played.sent == ("anna@example.com", "b@example.com")
    assert played.columns["code"] == ("000123", "")
    assert "'code' in 1 row" in played.said


def test_formula_text_around_a_phone_is_unwrapped(send):
    assert send('phone\n"=""+79000000001"""\n', column="phone", matching="phone").sent == ("+79000000001",)


def test_damaged_content_refuses_the_row(send):
    values = ("#N/A", "#ДЕЛ/0!", "######", "Andr\ufffd")
    rows = "".join(f"100{number}\t{value}\n" for number, value in enumerate(values))
    assert send(f"client_id\tname\n{rows}1009\tAnna\n", content=("name",)).sent == (*[None] * 4, "1009")


def test_damaged_column_that_is_not_sent_refuses_nothing(send):
    assert send("client_id\tname\n1001\t#N/A\n1002\tAndr\ufffd\n").sent == ("1001", "1002")


def test_usual_content_is_sent_as_it_stands(send):
    rows = "".join(f"100{number}\t{value}\n" for number, value in enumerate(USUAL_CONTENT))
    played = send(f"client_id\tname\n{rows}", content=("name",))
    assert played.columns["name"] == USUAL_CONTENT
    assert "hold garbled text" not in played.said


@pytest.mark.parametrize("value", GARBLED)
def test_garbled_text_of_any_column_is_told_once(send, value):
    played = send(f"client_id\tname\n1001\tAnna\n1002\t{value}\n1003\t{value}\n")
    assert played.sent == ("1001", "1002", "1003")
    assert played.said.count("hold garbled text") == 1


def test_two_phones_in_one_cell_are_refused(send):
    played = send(table(*TWO_PHONES, *PHONES, header="phone"), column="phone", matching="phone")
    assert played.sent == (*[None] * len(TWO_PHONES), *PHONES)
