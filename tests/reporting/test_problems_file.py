"""The problems file."""

import csv

import pytest

from batch_enroll.messages import verbatim
from batch_enroll.models import Problem, Row
from batch_enroll.reporting.results_writer import PROBLEM_COLUMNS, write_problems

ADVICE = {"email_invalid": "Correct it."}


def test_each_problem_is_a_line_with_row_and_column(tmp_path):
    path = tmp_path / "problems.csv"
    problems = (
        Problem(code="email_invalid", message=verbatim("=1+1 is no address."), column=1),
        Problem(code="too_many_cells", message=verbatim("The row has 4 cells.")),
    )
    rows = [Row(number=2, cells=("", "")), Row(number=3, cells=("", "=1+1"), problems=problems)]
    write_problems(path, rows, columns=("ID", "E-mail"), advice=lambda code: ADVICE.get(code, ""))
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            list(PROBLEM_COLUMNS),
            ["3", "E-mail", "email_invalid", "'=1+1 is no address.", "Correct it."],
            ["3", "", "too_many_cells", "The row has 4 cells.", ""],
        ]


def test_exception_leaves_no_file(tmp_path):
    def rows():
        yield Row(number=2, cells=())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_problems(tmp_path / "problems.csv", rows(), columns=(), advice=str)
    assert list(tmp_path.iterdir()) == []
