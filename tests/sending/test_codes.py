"""The table of error codes: documented ones, guesses for the rest, and the job's own over both."""

from __future__ import annotations

import pytest

from batch_enroll.sending.codes import Class, CodeTable


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Class.ROW),
        (401, Class.FATAL),
        (402, Class.FATAL),
        (403, Class.FATAL),
        (404, Class.ROW),
        (429, Class.RETRY),
        (440, Class.SUSPECT),
        (499, Class.ROW),
        (500, Class.UNKNOWN),
        (10_000, Class.UNKNOWN),
        (1, Class.ROW),
        (-1, Class.ROW),
    ],
)
def test_every_code_has_a_class(code, kind):
    assert CodeTable().class_of(code) is kind


def test_the_job_goes_over_the_table():
    table = CodeTable({440: Class.FATAL, 4711: Class.SUSPECT, 502: Class.ROW})
    assert [table.class_of(code) for code in (440, 4711, 502)] == [Class.FATAL, Class.SUSPECT, Class.ROW]
    assert table.suspects() == {"4711"}
    assert CodeTable().suspects() == {"440"}


def test_success_cannot_be_redefined():
    with pytest.raises(ValueError, match="code 0 is success"):
        CodeTable({0: Class.ROW})


def test_a_table_does_not_change_when_its_source_does():
    source = {7: Class.ROW}
    table = CodeTable(source)
    source[7] = Class.FATAL
    assert table.class_of(7) is Class.ROW
