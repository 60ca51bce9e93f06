"""The rows at rest come back as they were, whatever their cells hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import StagedRow
from batch_enroll.ledger.staged_rows import (
    STAGE_NAME,
    FileStage,
)
from batch_enroll.messages import message, verbatim
from batch_enroll.models import Problem, Row

CELLS = st.text(st.characters() | st.sampled_from('\\\n\r\x1f\x1e",\t\0\u2028'), max_size=8)


def stage_in(folder, rows=0):
    return FileStage(folder, lambda: rows)


def stage(folder, columns, rows):
    writer = stage_in(folder).writer(columns)
    writer.write(rows)
    writer.finish()


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.tuples(CELLS, CELLS, CELLS))
def test_cells_and_bodies_are_stored_exactly(tmp_path_factory, cells, columns):
    folder = tmp_path_factory.mktemp("stage")
    rows = [(Row(number=number, cells=row), row[0]) for number, row in enumerate(cells, start=2)]
    stage(folder, columns, rows)
    assert stage_in(folder).columns() == columns
    expected = [StagedRow(seq=seq, row=row, body=body) for seq, (row, body) in enumerate(rows, start=1)]
    assert [row for block in stage_in(folder, len(rows)).blocks() for row in block] == expected


def test_problems_are_stored_exactly(tmp_path):
    problems = (
        Problem(code="email_invalid", message=message("row.email", value="'a\\nb' \x1f", inner=message("x")), column=1),
        Problem(code="cut_off", message=verbatim("x")),
    )
    row = Row(number=7, cells=("a", "b"), problems=problems)
    stage(tmp_path, ("x", "y"), [(row, "")])
    assert stage_in(tmp_path, 1).rows(1, 1)[0].row == row


def test_problems_of_an_older_release_are_read_as_text(tmp_path):
    stage(
        tmp_path,
        ("x",),
        [(Row(number=7, cells=("a",), problems=(Problem(code="cut_off", message=verbatim("It ends.")),)), "")],
    )
    path = tmp_path / STAGE_NAME
    now = json.dumps(verbatim("It ends.").to_json())
    as_text = path.read_text(encoding="utf-8").replace(now, '"It ends."')
    assert '"message": "It ends."' in as_text
    path.write_text(as_text, encoding="utf-8")
    problem = stage_in(tmp_path, 1).rows(1, 1)[0].row.problems[0]
    assert problem == Problem(code="cut_off", message=verbatim("It ends."))


def test_rows_are_read_in_blocks_from_any_position(tmp_path):
    stage(tmp_path, ("x",), [(Row(number=n, cells=(str(n),)), "{}") for n in range(2, 2502)])
    assert [len(block) for block in stage_in(tmp_path, 2500).blocks()] == [1000, 1000, 500]
    assert [row.seq for row in stage_in(tmp_path, 2500).rows(2401, 2403)] == [2401, 2402, 2403]


DAMAGES = {
    "cut": lambda text: text[:-1],
    "no number": lambda text: text.replace("2\x1f", "two\x1f"),
    "glued": lambda text: text + "x",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_stage_file_is_one_error(tmp_path, damage):
    stage(tmp_path, ("x",), [(Row(number=2, cells=("a",)), "{}")])
    path = tmp_path / STAGE_NAME
    path.write_bytes(damage(path.read_bytes().decode()).encode())
    with pytest.raises(LedgerError, match="damaged"):
        list(stage_in(tmp_path, 1).blocks())


def test_pruned_rows_are_reported_as_deleted(tmp_path):
    stage(tmp_path, ("x",), [])
    assert (tmp_path / STAGE_NAME).stat().st_mode & 0o077 == 0
    assert stage_in(tmp_path).delete()
    assert not stage_in(tmp_path).delete()
    with pytest.raises(LedgerError, match="no longer kept"):
        stage_in(tmp_path).columns()


@pytest.mark.parametrize("name", ["rows.staged.part", "rows.staged.0a1b2c3d.part"])
def test_unfinished_rows_of_a_dead_process_are_removed(tmp_path, name):
    """The first name is that of older releases."""
    left = tmp_path / name
    left.write_text("personal")
    assert stage_in(tmp_path).size() == len("personal")
    stage(tmp_path, ("x",), [])
    assert [path.name for path in tmp_path.iterdir()] == [STAGE_NAME]
    left.write_text("personal")
    assert stage_in(tmp_path).delete()
    assert list(tmp_path.iterdir()) == []


def test_abandoned_rows_leave_nothing(tmp_path):
    writer = stage_in(tmp_path).writer(("x",))
    writer.write([(Row(number=2, cells=("a",)), "{}")])
    (partial,) = tmp_path.iterdir()
    assert partial.stat().st_mode & 0o077 == 0
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


ODD_CELLS = [("a", "b", "c"), ("", "", ""), ("\\", "\n", "\x1f"), ("\x1f\\n", "\ud800é", "\r\n"), ("z", "", "\u2028")]


@pytest.mark.parametrize("forgotten", [{1}, {2}, {3, 4}, {1, 2, 3, 4, 5}])
def test_forgotten_rows_keep_number_place_and_cell_count(tmp_path, forgotten):
    stage(tmp_path, ("x", "y", "z"), [(Row(n, cells), cells[0]) for n, cells in enumerate(ODD_CELLS, start=2)])
    path, reader = tmp_path / STAGE_NAME, stage_in(tmp_path, 5)
    before = reader.rows(1, 5)
    size = path.stat().st_size

    for _ in range(2):  # an interrupted erasure is repeated
        stage_in(tmp_path, 5).forget(forgotten)
        assert reader.rows(1, 5) == [
            StagedRow(one.seq, Row(one.row.number, ("", "", "")), "") if one.seq in forgotten else one for one in before
        ], "a reader goes on with the places that it knows"
        assert (path.stat().st_size, path.stat().st_mode & 0o777) == (size, 0o600)


def test_problems_of_a_forgotten_row_are_removed(tmp_path):
    problem = Problem(code="email_invalid", message=verbatim("'anna@' is no address."), column=1)
    stage(tmp_path, ("x",), [(Row(number=7, cells=("anna@",), problems=(problem,)), "")])
    (tmp_path / f"{STAGE_NAME}.0a1b2c3d.part").write_text("anna@")
    stage_in(tmp_path, 1).forget([1])
    assert stage_in(tmp_path, 1).rows(1, 1)[0].row == Row(7, ("",))
    assert [b"anna" in path.read_bytes() for path in tmp_path.iterdir()] == [False]


def test_nothing_is_forgotten_where_rows_are_gone_or_damaged(tmp_path):
    stage_in(tmp_path, 1).forget([1])
    assert not stage_in(tmp_path, 1).exists()
    stage(tmp_path, ("x",), [(Row(number=7, cells=("a",)), "{}")])
    assert stage_in(tmp_path, 1).exists()
    with pytest.raises(LedgerError, match="damaged"):
        stage_in(tmp_path, 2).forget([1])
