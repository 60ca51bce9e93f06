"""The table of error codes: documented ones, guesses for the rest, and the job's own over both."""

from __future__ import annotations

import pytest

from batch_enroll.sending.error_codes import CodeTable, ErrorClass


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, ErrorClass.ROW),
        (401, ErrorClass.FATAL),
        (402, ErrorClass.FATAL),
        (403, ErrorClass.FATAL),
        (404, ErrorClass.ROW),
        (429, ErrorClass.RETRY),
        (440, ErrorClass.SUSPECT),
        (499, ErrorClass.ROW),
        (500, ErrorClass.UNKNOWN),
        (10_000, ErrorClass.UNKNOWN),
        (1, ErrorClass.ROW),
        (-1, ErrorClass.ROW),
    ],
)
def test_each_code_has_a_class(code, kind):
    assert CodeTable().class_of(code) is kind


def test_job_overrides_the_table():
    table = CodeTable({440: ErrorClass.FATAL, 4711: ErrorClass.SUSPECT, 502: ErrorClass.ROW})
    assert [table.class_of(code) for code in (440, 4711, 502)] == [ErrorClass.FATAL, ErrorClass.SUSPECT, ErrorClass.ROW]
    assert table.suspects() == {"4711"}
    assert CodeTable().suspects() == {"440"}


def test_success_cannot_be_redefined():
    with pytest.raises(ValueError, match="code 0 is success"):
        CodeTable({0: ErrorClass.ROW})


def test_table_does_not_follow_its_source():
    source = {7: ErrorClass.ROW}
    table = CodeTable(source)
    source[7] = ErrorClass.FATAL
    assert table.class_of(7) is ErrorClass.ROW
