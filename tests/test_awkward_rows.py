"""Rows whose cells have moved, broken in two or below another header, through the command line."""

from __future__ import annotations

import pytest

PEOPLE = "1001,Anna,Tver\n1002,Boris,Tula\n1003,Clara,Omsk\n"


@pytest.mark.parametrize(
    ("table", "sent"),
    [
        ("client_id,name,city\n1001,Anna,Tver\n1002,Boris,Tula,\n1003,Clara,Omsk\n", ("1001", "1002", "1003")),
        ("client_id,name,city\n1001,Anna,Tver,\n1002,Boris,Tula,\n1003,Clara,Omsk,\n", ("1001", "1002", "1003")),
        ("client_id,name,city\n1001,Anna,\n1002,Boris,Tula,,\n1003,Clara,\n", ("1001", None, "1003")),
        ("client_id,name,city\n1001,Anna,\n1002,Petrov, Boris,,\n1003,Clara,\n", ("1001", None, "1003")),
        ("name,client_id,city\nAnna,1001,Tver\nPetrov,Boris,1002,\nClara,1003,Omsk\n", ("1001", None, "1003")),
    ],
    ids=["one row", "every row", "last usually blank", "blank after delimiter", "id moved"],
)
def test_wide_row_is_refused_where_a_value_may_have_moved(send, table, sent):
    played = send(table)
    assert played.sent == sent
    assert None not in sent or "more than the header" in played.said


@pytest.mark.parametrize(
    "table",
    [
        '"client_id","n"\n"1","000123","a"\n"2","000124","b"\n',
        '"client_id","n"\n"1","000123",""\n"2","000124",""\n',
        "client_id;n\n0;000123;a\n1;000124;b\n",
    ],
)
@pytest.mark.parametrize("delimiter", [None, True])
def test_header_without_a_name_for_row_names_is_refused(send, table, delimiter):
    played = send(table, **({"delimiter": ";" if ";" in table else ","} if delimiter else {}))
    assert (played.code, played.sent) == (2, ())
    assert "one column has no name" in played.said


@pytest.mark.parametrize(
    ("again", "below"),
    [
        ("CLIENT_ID,Name,City", "1004"),
        ("Client_id, NAME ,city", "1004"),
        ("name,client_id,city", None),
        ("client_id,city,name", None),
        ("client_id,sum,", None),
        ("\ufeffclient_id,name,city", "1004"),
    ],
)
def test_header_again_is_recognised(send, again, below):
    played = send(f"client_id,name,city\n{PEOPLE}{again}\n1004,Denis,Perm\n")
    assert played.sent == ("1001", "1002", "1003", None, below)
    assert "header" in played.said


def test_rows_below_another_header_are_refused_to_its_end(send):
    rows = "".join(f"{number},x,y\n" for number in range(2000, 5000))
    played = send(f"client_id,name,city\n{PEOPLE}client_id,city,name\n{rows}client_id,name,city\n9,Eva,Perm\n")
    assert [value for value in played.sent if value] == ["1001", "1002", "1003", "9"]


@pytest.mark.parametrize(
    "row",
    ['1002, "Boris, jr", "Tula"', ' "1002","Boris, jr", "Tula"', '1002,  "Boris, jr",Tula'],
)
def test_blank_before_quote_is_read_as_meant(send, row):
    played = send(f"client_id,name,city\n{PEOPLE}{row}\n", content=("name", "city"))
    assert (played.sent[-1], played.columns["name"][-1], played.columns["city"][-1]) == ("1002", "Boris, jr", "Tula")


@pytest.mark.slow
def test_blank_before_quote_far_down_is_refused(send):
    rows = "".join(f'{number},"Some name, or other {number}",Tver\n' for number in range(3_000))
    played = send(f'client_id,name,city\n{rows}9001, "Boris",Tula\n9002,Clara,Omsk\n')
    assert played.sent[-2:] == (None, "9002")
    assert "a blank stands before a quote" in played.said
    assert None not in played.sent[:-2]


def test_quote_after_a_comma_in_a_cell_is_no_fault(send):
    played = send('client_id,name\n1001,"Well, "\n1002,"""Boris"", he said"\n', content=("name",))
    assert (played.sent, played.columns["name"]) == (("1001", "1002"), ("Well, ", '"Boris", he said'))


@pytest.mark.parametrize(
    ("broken", "end"),
    [
        ("1002,2 Long Street\nFlat 5,Tula\n", "\n"),
        ("1002,2 Long Street\nHouse\nFlat 5,Tula\n", "\n"),
        ("1002,2 Long Street\r5,Tula\r\n", "\r\n"),
        ("10\r02,Boris,Tula\r\n", "\r\n"),
        ("1002,Boris,Tula\rnorth\r\n", "\r\n"),
        ("1002,Boris,Tula\r5\r\n", "\r\n"),
        ("1002,Boris\n1,Tula\r\n", "\r\n"),
    ],
)
def test_no_part_of_a_broken_row_is_sent(send, broken, end):
    people = PEOPLE.replace("\n", end)
    played = send(f"client_id,name,city{end}{people}{broken}{people}", content=("city",))
    parts = len(played.sent) - 6
    assert played.sent == ("1001", "1002", "1003", *[None] * parts, "1001", "1002", "1003")
    assert parts == 3 if "House" in broken else 2
    assert "broken in two" in played.said


def test_short_rows_of_usual_shape_are_sent(send):
    played = send("client_id,name,city\n1001,Anna,Tver\n1002,Boris\n1003,Clara\n1004\n1005,Eva,Perm\n")
    assert played.sent == ("1001", "1002", "1003", "1004", "1005")


def test_row_broken_at_the_end_of_a_block_is_not_sent(send):
    rows = "".join(f"{number},x,y\n" for number in range(1000, 1999))
    played = send(f"client_id,name,city\n{rows}1999,Long\nStreet,Tula\n2000,x,y\n")
    assert played.sent[-4:] == ("1998", None, None, "2000")


@pytest.mark.parametrize("other", [",", "\t", "|"])
def test_row_with_another_delimiter_is_refused(send, other):
    played = send(f"client_id;name;city\n{PEOPLE.replace(',', ';')}1004{other}Denis{other}Perm\n1005;Eva;Perm\n")
    assert played.sent == ("1001", "1002", "1003", None, "1005")
    assert "separated by" in played.said


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("client_id^name^city\n1001^Anna^Tver\n", "--delimiter '^'"),
        ("client_id:name\n1001:Anna\n", "--delimiter ':'"),
        ("client_id~|~name~|~city\n1001~|~Anna~|~Tver\n", "'~|~'"),
        ("client_id   name    city\n1001        Anna    Tver\n", "aligned with blanks"),
        ('"client_id,name,city"\n"1001,Anna,Tver"\n', "in quotes as a whole"),
    ],
)
def test_unusual_delimiter_is_named(send, table, told):
    played = send(table)
    assert (played.code, played.sent) == (2, ())
    assert told in played.said
