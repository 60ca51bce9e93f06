"""One of our own results files is the input again: what was added goes, what was guarded comes back."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_enroll.loading import open_table
from batch_enroll.models import InputOptions, RowStatus
from batch_enroll.result_columns import ADDED_COLUMNS, guard
from tests.support.examples import examples


def results(columns: list[str], rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*map(guard, columns), *ADDED_COLUMNS])
    for number, row in enumerate(rows, start=7):
        added = [str(number), "error", "bad_email", "=no", "", "", "1", "2026-01-01T00:00:00Z", "R1"]
        writer.writerow([*map(guard, row), *added])
    return out.getvalue().encode("utf-8-sig")


def test_result_columns_are_dropped_and_rows_renumbered(load):
    loaded = load(results(["email", "=name"], [["a@example.com", "=1+1"], ["", "-"]]), wanted=("email", "=name"))
    assert loaded.table.columns == ("email", "=name")
    assert loaded.cells == [("a@example.com", "=1+1"), ("", "-")]
    assert loaded.numbers == [2, 3]


def test_problems_keep_their_column_after_columns_are_dropped(load):
    header = ",".join(ADDED_COLUMNS[:2]) + ",email,name\n"
    loaded = load(f"{header}1,error,a@example.com,A\0nna\n")
    assert loaded.table.columns == ("email", "name")
    assert [problem.column for problem in loaded.rows[0].problems] == [1]


def test_customer_column_of_the_same_name_is_kept(load):
    loaded = load("enroll_status,name\n'=x,Anna\n")
    assert loaded.table.columns == ("enroll_status", "name")
    assert loaded.cells == [("'=x", "Anna")]


def test_result_of_a_sent_row_stays_with_it(load):
    header = "enroll_status,email,enroll_row,enroll_status,enroll_run\n"
    statuses = ["success", "Unknown ", "error", "invalid", "skipped", "not_sent", ""]
    loaded = load(header + "".join(f"success,a@example.com,2,{status}, R1\n" for status in statuses))
    assert loaded.table.is_results
    assert loaded.table.columns == ("enroll_status", "email")
    assert [row.earlier for row in loaded.rows] == [
        (RowStatus.SUCCESS, "R1", "2"),
        (RowStatus.UNKNOWN, "R1", "2"),
        *[None] * 5,
    ]


@pytest.mark.parametrize("header", ["enroll_status,enroll_run,email", "enroll_row,enroll_run,email"])
def test_other_files_have_no_earlier_results(load, header):
    loaded = load(f"{header}\nsuccess,R1,a@example.com\n")
    assert not loaded.table.is_results
    assert loaded.rows[0].earlier is None


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.text(alphabet="'=+-@ a1\t,\n", max_size=6), min_size=1, max_size=5))
def test_input_cells_survive_results_and_reload(tmp_path_factory, values):
    data = results(["id", "value"], [[f"r{number}", value] for number, value in enumerate(values)])
    with open_table(io.BytesIO(data), InputOptions(), spool=tmp_path_factory.mktemp("spool")) as table:
        cells = [row.cells[1] for block in table.blocks() for row in block]
    assert cells == values
