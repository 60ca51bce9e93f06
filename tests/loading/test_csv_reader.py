"""CSV: rows, their lines, and what is wrong with them."""

from __future__ import annotations

import csv
import io

import pytest

from batch_enroll.errors import InputError

HEADER = "email,name,city\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_makes_a_row(load, end):
    loaded = load(f"email,name{end}a@example.com,Anna{end}b@example.com,Boris{end}")
    assert loaded.cells == [("a@example.com", "Anna"), ("b@example.com", "Boris")]
    assert loaded.numbers == [2, 3]


def test_line_ends_may_be_mixed(load):
    loaded = load("email,name\r\na@example.com,Anna\rb@example.com,Boris\nc@example.com,Clara")
    assert [cells[1] for cells in loaded.cells] == ["Anna", "Boris", "Clara"]
    assert loaded.numbers == [2, 3, 4]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_row_has_the_number_of_its_first_line(load, end):
    text = f'email,note{end}a@example.com,"one{end}two{end}{end}four"{end}{end}b@example.com,x{end}'
    loaded = load(text)
    assert loaded.cells == [("a@example.com", f"one{end}two{end}{end}four"), ("b@example.com", "x")]
    assert loaded.numbers == [2, 7]
    assert loaded.codes == [[], []]


@pytest.mark.parametrize("blank", ["", "   ", ",,", ' ,"",\t', "\u200b,\ufeff,\xa0", "\x1a"])
def test_empty_row_is_skipped(load, blank):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver\n{blank}\nb@example.com,Boris,Tula\n")
    assert loaded.numbers == [2, 4]
    assert not loaded.table.notices


def test_cells_are_read_exactly(load):
    loaded = load("id,text\n007, NA \n1e5,'=1\n-0,\u200bx\xa0\n")
    assert loaded.cells == [("007", " NA "), ("1e5", "'=1"), ("-0", "\u200bx\xa0")]


def test_only_the_row_with_too_many_cells_is_refused(load):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver\nb@example.com,Boris,Tula,extra\nc@example.com,Clara,Omsk\n")
    assert loaded.codes == [[], ["too_many_cells"], []]
    assert "Line 3 has 4 cells, more than the header, which has 3" in loaded.said
    assert all(len(cells) == 3 for cells in loaded.cells)


def test_trailing_empty_cells_are_not_excess(load):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver,, ,\n")
    assert loaded.cells == [("a@example.com", "Anna", "Tver")]
    assert loaded.codes == [[]]


def test_missing_cells_are_empty_and_reported(load):
    loaded = load(f"{HEADER}a@example.com\nb@example.com,Boris,Tula\nc@example.com,Clara\nd@example.com,Denis,Perm\n")
    assert loaded.cells[0] == ("a@example.com", "", "")
    assert loaded.notices["short_rows"].rows == (2, 4)
    assert loaded.codes == [[], [], [], []]


@pytest.mark.parametrize(
    ("last", "codes"),
    [
        ("c@example.co", ["cut_off"]),
        ("c@example.com,Clara", ["cut_off"]),
        ('c@example.com,"Cla', ["cut_off"]),
        ("c@example.com,Clara,Omsk", []),
        ("c@example.com,Clara,", []),
        ("c@example.com,Clara,Ом".encode()[:-1], ["cut_off"]),
    ],
)
def test_incomplete_last_line_is_refused(load, last, codes):
    text = f"{HEADER}a@example.com,Анна,Tver\n".encode() + (last.encode() if isinstance(last, str) else last)
    loaded = load(text)
    assert loaded.codes == [[], codes]
    assert ("cut_off" in loaded.notices) == bool(codes)
    if codes:
        assert "Line 3 is incomplete" in loaded.said


def test_nul_byte_refuses_only_its_cell(load):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver\nb\0@example.com,Boris,Tula\nc@example.com,Clara,Omsk\n")
    assert loaded.codes == [[], ["nul_byte"], []]
    assert loaded.rows[1].problems[0].column == 0
    assert "Line 3 has a NUL (zero) byte in column 'email'" in loaded.said


def test_trailing_nul_bytes_are_not_a_blank_row(load):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver\n" + "\0" * 4)
    assert loaded.numbers == [2, 3]
    assert "nul_byte" in loaded.codes[1]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_repeated_header_is_not_a_row(load, mark):
    loaded = load(f"{HEADER}a@example.com,Anna,Tver\n{mark}{HEADER}b@example.com,Boris,Tula\n")
    assert loaded.codes == [[], ["repeated_header"], []]


@pytest.mark.parametrize(
    "swallowed",
    [
        'b@example.com,"Horns,Tula\nc@example.com,Gamma,Omsk\nd@example.com,Delta",Perm\n',
        'b@example.com,"Horns,Tula\nd@example.com,Delta",Perm\n',
        'b@example.com,Horns,"Tula\nc@example.com,Gamma,Omsk\nd@example.com,Delta,Perm"\n',
        '"b@example.com,Horns,Tula\nc@example.com",Gamma,Omsk\n',
    ],
)
def test_rows_swallowed_by_quotes_are_reported(load, swallowed):
    loaded = load(f"{HEADER}a@example.com,Alfa,Tver\n{swallowed}e@example.com,Epsilon,Kazan\nf@example.com,Zeta,Ufa\n")
    assert loaded.codes == [[], ["stray_quote"], [], []]
    assert loaded.rows[-1].number == 4 + swallowed.count("\n")
    assert loaded.said.startswith("Line 3: ")
    assert loaded.notices["stray_quote"].rows == (3,)


def test_swallowed_rows_are_found_in_any_table_shape(load):
    assert load('email\na@example.com\n"b@example.com\nc@example.com"\nd@example.com\n').codes == [
        [],
        ["stray_quote"],
        [],
    ]
    names = 'first,last,city\nAnna,Ivanova,Tver\nBoris,"Petrov,Tula\nClara,Sidorova",Omsk\nDenis,Orlov,Perm\n'
    assert load(names).codes == [[], ["stray_quote"], []]


@pytest.mark.parametrize(
    "note",
    [
        "1 Long Street\nFlat 2\nTver",
        "Dear A, B,\nsecond, line,\n\nC",
        "see c@example.com\nor call",
        "\n",
        'a "quoted"\nword',
        "1\n2\n3",
    ],
)
def test_cell_may_hold_line_breaks(load, note):
    out = io.StringIO()
    csv.writer(out).writerows([["email", "note", "city"], ["a@example.com", note, "Tver"], ["b@example.com", "", "x"]])
    loaded = load(out.getvalue())
    assert loaded.cells == [("a@example.com", note, "Tver"), ("b@example.com", "", "x")]
    assert loaded.codes == [[], []]


@pytest.mark.parametrize("company", ['"OOO "Romashka""', '"Alfa" Beta', '"Horns" and "Hooves"', r'"He said \"hi\""'])
def test_text_after_a_closing_quote_refuses_the_row(load, company):
    loaded = load(f"{HEADER}a@example.com,Alfa,Tver\nb@example.com,{company},Tula\nc@example.com,Gamma,Omsk\n")
    assert loaded.codes == [[], ["stray_quote"], []]
    assert loaded.numbers == [2, 3, 4]
    assert "check the quotes" in loaded.said


def test_quotes_inside_an_unquoted_cell_are_text(load):
    assert load(f'{HEADER}a@example.com,OOO "Romashka",5" pipe\n').cells == [
        ("a@example.com", 'OOO "Romashka"', '5" pipe')
    ]


def test_unterminated_quote_stops_the_file_and_names_its_line(load):
    rows = "".join(f"u{number}@example.com,Name,City\n" for number in range(30_000))
    for text in (f'{HEADER}a@example.com,"Anna,Tver\n{rows}', f'{HEADER}a@example.com,"Anna,Tver\n{rows[:300]}'):
        with pytest.raises(InputError, match=r"Line 2: a quote .* is never closed"):
            load(text)


def test_row_number_is_right_after_thousands_of_long_rows(load):
    text = HEADER + "".join(f'u{n}@example.com,"a\nb\nc\nd\ne",x\n' for n in range(5_000)) + "z@example.com,Z\n"
    loaded = load(text)
    assert len(loaded.rows) == 5_001
    assert loaded.rows[-1].number == 25_002
    assert loaded.rows[-1].cells == ("z@example.com", "Z", "")


def test_long_cell_is_read_whole(load):
    assert len(load(f"email,note\na@example.com,{'x' * 200_000}\n").cells[0][1]) == 200_000


def test_blocks_hold_at_most_a_thousand_rows(tmp_path):
    from batch_enroll.loading import open_table
    from batch_enroll.models import InputOptions

    text = HEADER + "a@example.com,A,x\n" * 999 + 'b@example.com,"B"B,x\n' * 3 + "c@example.com,C,x\n" * 1_500
    with open_table(io.BytesIO(text.encode()), InputOptions(), spool=tmp_path) as table:
        sizes = [len(block) for block in table.blocks()]
        assert sum(sizes) == 2_502
        assert max(sizes) <= 1_000
        assert sum(len(block) for block in table.blocks()) == 2_502, "a second reading gives the same"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"start_row": 3}, [4, 5, 6]),
        ({"limit": 2}, [2, 4]),
        ({"start_row": 4, "limit": 2}, [4, 5]),
        ({"limit": 9}, [2, 4, 5, 6]),
    ],
)
def test_row_range_can_be_selected(load, options, numbers):
    assert load("id\n1\n\n3\n4\n5\n", **options).numbers == numbers


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("\ufeff \r\n", {}, "is empty"),
        ("email,name\r\n", {}, "no rows"),
        ("email,name\n,\n ,\n", {}, "no rows"),
        ("email,name\na@example.com,A\n", {"start_row": 9}, "no rows from row 9 on"),
    ],
)
def test_file_without_rows_is_an_error(load, text, options, message):
    with pytest.raises(InputError, match=message):
        load(text, **options)
