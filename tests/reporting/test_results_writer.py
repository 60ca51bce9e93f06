"""The results files: complete or absent, in order, every cell unchanged."""

import csv
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from batch_enroll.atomic_file import file_mode_from
from batch_enroll.errors import RunStopped
from batch_enroll.messages import verbatim
from batch_enroll.models import (
    Counts,
    Outcome,
    Problem,
    Row,
    RowStatus,
)
from batch_enroll.reporting import csv_xlsx_writers
from batch_enroll.reporting.result_paths import result_paths
from batch_enroll.reporting.results_writer import ResultsWriter
from batch_enroll.result_columns import ADDED_COLUMNS, unguard

COLUMNS = ("E-mail", "Name")
SENT = ("2026-11-25T09:30:00.123Z", "r1")
SENT_AT = datetime(2026, 11, 25, 9, 30, 0, 123_000, tzinfo=UTC)


def advice(code: str) -> str:
    return {"404": "Import the profile first.", "email_invalid": "Correct the address."}.get(code, "")


def pair(seq: int, status: RowStatus = RowStatus.SUCCESS, cells=("a@b.ru", "Ann"), problems=(), **fields):
    return Row(number=seq + 1, cells=cells, problems=problems), Outcome(seq=seq, status=status, **fields)


def write(folder: Path, pairs, *, name="x.results.csv", columns=COLUMNS, **options):
    paths = result_paths("x.csv", run_id="r1", results=folder / name)
    with ResultsWriter(paths, columns, run_id="r1", advice=advice, **options) as writer:
        for start in range(0, len(pairs), 2):
            writer.write(pairs[start : start + 2])
        return writer.finish()


def read(path: Path, delimiter=",") -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [[unguard(cell) for cell in line] for line in csv.reader(file, delimiter=delimiter)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_line_per_row_in_plan_order(tmp_path):
    sent: dict[str, Any] = {"http_status": 200, "attempts": 1, "sent_at": SENT_AT}
    written = write(
        tmp_path,
        [
            pair(1, **sent),
            pair(2, RowStatus.ERROR, code="404", message="Not found", **sent),
            pair(3, RowStatus.SKIPPED, code="duplicate_in_input", message="Stands in row 2"),
        ],
    )
    assert read(written.results) == [
        [*COLUMNS, *ADDED_COLUMNS],
        ["a@b.ru", "Ann", "2", "success", "", "", "", "200", "1", *SENT],
        ["a@b.ru", "Ann", "3", "error", "404", "Not found", "Import the profile first.", "200", "1", *SENT],
        ["a@b.ru", "Ann", "4", "skipped", "duplicate_in_input", "Stands in row 2", "", "", "0", "", "r1"],
    ]
    assert written.counts == Counts(success=1, error=1, skipped=1)


def test_csv_has_bom_and_crlf(tmp_path):
    raw = write(tmp_path, [pair(1)]).results.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfE-mail,Name,enroll_row")
    assert raw.count(b"\r\n") == raw.count(b"\n") == 2


def test_invalid_row_lists_each_problem_and_advice_once(tmp_path):
    problems = (
        Problem(code="email_invalid", message=verbatim("'a' is no address."), column=0),
        Problem(code="email_invalid", message=verbatim("'b' is no address."), column=1),
    )
    written = write(tmp_path, [pair(1, RowStatus.INVALID, problems=problems)])
    line = read(written.results)[1]
    assert line[3:7] == ["invalid", "email_invalid", "'a' is no address; 'b' is no address", "Correct the address."]


def test_failed_and_unknown_rows_get_their_own_files(tmp_path):
    rows = [
        pair(1),
        pair(2, RowStatus.ERROR),
        pair(3, RowStatus.UNKNOWN),
        pair(4, RowStatus.INVALID),
        pair(5, RowStatus.NOT_SENT),
    ]
    written = write(tmp_path, rows)
    assert written.failed is not None
    assert written.unknown is not None
    results = read(written.results)
    assert read(written.failed) == [results[0], results[2], results[4]]
    assert read(written.unknown) == [results[0], results[3]]


def test_stale_failed_file_is_removed(tmp_path):
    write(tmp_path, [pair(1, RowStatus.ERROR), pair(2, RowStatus.UNKNOWN)])
    assert names(tmp_path) == {"x.results.csv", "x.failed.csv", "x.unknown.csv"}
    written = write(tmp_path, [pair(1), pair(2)])
    assert names(tmp_path) == {"x.results.csv"}
    assert written.failed is written.unknown is None


CELLS = st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text(alphabet="=+-@'\t\r\n\",; \0a1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_cells_are_written_exactly(tmp_path, rows, delimiter):
    pairs = [pair(seq, RowStatus.ERROR, cells=cells) for seq, cells in enumerate(rows, start=1)]
    written = write(tmp_path, pairs, delimiter=delimiter)
    assert [tuple(line[:2]) for line in read(written.results, delimiter)[1:]] == rows
    assert written.failed is not None
    assert [tuple(line[:2]) for line in read(written.failed, delimiter)[1:]] == rows


@pytest.mark.parametrize("name", ["x.results.csv", "x.results.xlsx"])
def test_lone_surrogate_is_escaped(tmp_path, name):
    written = write(tmp_path, [pair(1, cells=("a\ud83d", "Ann"))], name=name)
    assert cells_of(written.results)[1][0] == "a\\ud83d"


def cells_of(path: Path) -> list[list[str]]:
    return (
        read(path) if path.suffix == ".csv" else [[str(cell.value or "") for cell in line] for line in lines_of(path)]
    )


def lines_of(workbook: Path) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(workbook)
    lines = list(book["Results"].iter_rows())
    book.close()
    return lines


TRICKY = [
    "007",
    "1.10",
    "2026-01-02",
    "TRUE",
    "=1+1",
    "'=1",
    " a ",
    "a\r\nb",
    "<r>&</r>",
    "<b>",
    "_x0041_",
    "\x01",
    "x" * 32_767,
]


@pytest.mark.parametrize("text", TRICKY)
def test_workbook_cells_are_text(tmp_path, text):
    written = write(tmp_path, [pair(1, cells=(text, "Ann"))], name="x.xlsx")
    cell = lines_of(written.results)[1][0]
    assert cell.data_type == "s"
    assert unescape(unguard(cell.value)) == text
    assert cell.number_format == "@"
    assert names(tmp_path) == {"x.xlsx"}


def test_cell_too_long_for_a_workbook_is_an_error(tmp_path):
    with pytest.raises(RunStopped, match=r"32,767 characters in a cell. Give `output.results` a name that ends in"):
        write(tmp_path, [pair(1, cells=("x" * 32_768, ""))], name="x.xlsx")
    assert names(tmp_path) == set()


def test_too_many_rows_for_a_sheet_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_xlsx_writers, "XLSX_ROWS", 3)
    with pytest.raises(RunStopped, match="an Excel sheet has 3 lines"):
        write(tmp_path, [pair(1), pair(2), pair(3)], name="x.xlsx")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["x.results.csv", "x.results.xlsx"])
def test_exception_keeps_the_older_file(tmp_path, name):
    old = write(tmp_path, [pair(1, RowStatus.ERROR)], name=name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    paths = result_paths("x.csv", run_id="r1", results=old.results)

    def run() -> None:
        with ResultsWriter(paths, COLUMNS, run_id="r2", advice=advice) as writer:
            writer.write([pair(1, RowStatus.ERROR), pair(2, RowStatus.UNKNOWN)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["x.results.csv", "x.results.xlsx"])
@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_full_disk_keeps_the_older_files(tmp_path, name, room):
    resource = pytest.importorskip("resource", reason="only Unix can limit the size of a file")
    write(tmp_path, [pair(1, RowStatus.ERROR)], name=name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    rows = [pair(seq, RowStatus.ERROR, cells=(os.urandom(200).hex(), "")) for seq in range(1, 2_000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(
            RunStopped, match=r"cannot be written: File too large\. Nothing is lost.*batch-enroll report"
        ):
            write(tmp_path, rows, name=name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_are_renamed_after_all_are_synced(tmp_path):
    resource = pytest.importorskip("resource", reason="only Unix can limit the size of a file")
    write(tmp_path, [pair(1, RowStatus.ERROR), pair(2, RowStatus.UNKNOWN)])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    paths = result_paths("x.csv", run_id="r1", results=tmp_path / "x.results.csv")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultsWriter(paths, COLUMNS, run_id="r2", advice=advice) as writer:
        writer.write([pair(seq, RowStatus.ERROR if seq == 1 else RowStatus.SUCCESS) for seq in range(1, 80)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # room for the failed row, not for the results
        try:
            with pytest.raises(RunStopped):
                writer.finish()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_missing_folder_is_one_error(tmp_path):
    with pytest.raises(RunStopped, match=f"the folder {tmp_path}/gone is not there"):
        write(tmp_path / "gone", [pair(1)])


@pytest.mark.parametrize("seqs", [(2,), (1, 1), (1, 3), (1, 2, 1)])
def test_missing_or_repeated_row_gives_no_report(tmp_path, seqs):
    with pytest.raises(ValueError, match="is due"):
        write(tmp_path, [pair(seq) for seq in seqs])
    assert names(tmp_path) == set()


def test_two_writers_of_the_same_files_do_not_mix(tmp_path):
    paths = result_paths("x.csv", run_id="r1", results=tmp_path / "x.csv")
    first = ResultsWriter(paths, COLUMNS, run_id="r1", advice=advice)
    second = ResultsWriter(paths, COLUMNS, run_id="r1", advice=advice)
    with first, second:
        first.write([pair(1, RowStatus.UNKNOWN)])
        second.write([pair(1)])
        second.finish()
        first.finish()
    assert read(paths.results)[1][3] == "unknown"


def test_new_files_follow_umask_and_the_mode_of_the_input(tmp_path):
    source = tmp_path / "in.csv"
    source.touch(mode=0o400)
    old = os.umask(0o022)
    try:
        shared = write(tmp_path, [pair(1)], name="a.csv").results
        private = write(tmp_path, [pair(1)], name="b.csv", mode=file_mode_from(source)).results
    finally:
        os.umask(old)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o644
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_same_rows_give_the_same_bytes(tmp_path):
    rows = [pair(1), pair(2, RowStatus.ERROR)]
    first = write(tmp_path, rows).results.read_bytes()
    assert write(tmp_path, [(row, outcome._replace()) for row, outcome in rows]).results.read_bytes() == first
