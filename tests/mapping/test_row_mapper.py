"""A row becomes a request, or every reason why it cannot."""

from __future__ import annotations

import pytest

from batch_enroll.errors import InputError, InvalidRow
from batch_enroll.mapping.row_mapper import Mapper
from batch_enroll.messages import verbatim
from batch_enroll.models import (
    FieldType,
    Matching,
    MatchingMode,
    Problem,
    Row,
    StartRequest,
)

COLUMNS = ("E-mail", "First name", "City", "City")


def mapper(**settings):
    arguments = {
        "columns": COLUMNS,
        "scenario": 3,
        "matching": Matching(mode=MatchingMode.EMAIL, column="E-mail"),
        "content": (("first_name", "First name"),),
    }
    return Mapper(**{**arguments, **settings})


def row(*cells, number=2, problems=()):
    return Row(number=number, cells=cells, problems=problems)


def test_row_becomes_a_request_with_its_content():
    built = mapper(resource_id=24).build(row("anna@example.com", "Anna", "Tver", ""))
    assert built.request == StartRequest(
        scenario=3,
        mode=MatchingMode.EMAIL,
        identity="anna@example.com",
        resource_id=24,
        content=(("first_name", "Anna"),),
    )


def test_empty_cell_is_left_out_of_the_content():
    assert mapper().build(row("anna@example.com", "", "", "")).request.content == ()


def test_content_is_sent_unchanged():
    assert mapper().build(row("anna@example.com", "  NA\n", "", "")).request.content == (("first_name", "  NA\n"),)


def test_custom_field_has_its_name_and_type():
    built = mapper(
        matching=Matching(mode=MatchingMode.CUSTOM, column="First name", field_name="CRM_ID", field_type=FieldType.INT)
    ).build(row("", "123", "", ""))
    assert (built.request.field_name, built.request.identity) == ("CRM_ID", 123)


def test_empty_identity_names_its_column():
    with pytest.raises(InvalidRow, match="no E-mail in this row"):
        mapper().build(row("", "Anna", "", ""))


def test_every_problem_of_a_row_is_listed():
    cut = Problem(code="excel_error", message=verbatim("B2 holds #N/A"), column=1)
    with pytest.raises(InvalidRow) as caught:
        mapper().build(row("Total: 3", "", "", "", problems=(cut,)))
    assert [problem.code for problem in caught.value.problems] == ["email_invalid", "excel_error"]


def test_problem_in_an_unused_column_is_ignored():
    unused = Problem(code="excel_error", message=verbatim("C2 holds #N/A"), column=2)
    assert mapper().build(row("anna@example.com", "", "", "", problems=(unused,)))


def test_problem_of_the_whole_row_stops_it():
    long = Problem(code="too_many_cells", message=verbatim("line 3 has 5 cells"))
    with pytest.raises(InvalidRow):
        mapper().build(row("anna@example.com", "", "", "", problems=(long,)))


def test_repeated_column_is_refused_only_when_used():
    assert mapper()
    with pytest.raises(InputError, match="City"):
        mapper(content=(("city", "City"),))


def test_missing_column_names_the_nearest():
    with pytest.raises(InputError, match="First name"):
        mapper(content=(("first_name", "Frist name"),))


def test_notice_has_row_count_and_first_rows():
    tidying = mapper()
    for number in range(2, 12):
        tidying.build(row(f" user{number}@example.com", "", "", "", number=number))
    (notice,) = tidying.notices()
    assert (notice.code, notice.count, notice.rows) == ("trimmed", 10, (2, 3, 4, 5, 6))
    assert str(notice.message) == "Blanks or invisible characters around the 'E-mail' in 10 rows are left out."


@pytest.mark.parametrize(
    ("cell", "mode", "said"),
    [
        ("mailto:a@example.com", MatchingMode.EMAIL, "'mailto:' before the 'E-mail' in 1 row is left out."),
        ("Anna <a@example.com>", MatchingMode.EMAIL, "A name beside the address in 'E-mail' in 1 row is left out."),
        ("аnna@example.com", MatchingMode.EMAIL, "One word of the 'E-mail' mixes two alphabets in 1 row"),
        ("tel:+79000000004", MatchingMode.PHONE, "'tel:' before the 'E-mail' in 1 row is left out."),
        ("'+79000000007", MatchingMode.PHONE, "An apostrophe before the 'E-mail' in 1 row is left out."),
        ("89000000007", MatchingMode.PHONE, "The job's country code was added to the 'E-mail' in 1 row."),
    ],
)
def test_each_change_of_a_cell_has_a_notice(cell, mode, said):
    tidying = mapper(matching=Matching(mode=mode, column="E-mail"), country="RU")
    tidying.build(row(cell, "", "", ""))
    (notice,) = tidying.notices()
    assert str(notice.message).startswith(said)
