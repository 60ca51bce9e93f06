"""Paths of result files."""

import os
from pathlib import Path

import pytest

from batch_enroll.errors import JobError, RunStopped
from batch_enroll.messages import message
from batch_enroll.overwrite_guard import ReadFiles
from batch_enroll.reporting.result_paths import (
    XLSX_ROWS,
    ResultPaths,
    check_writable,
    result_paths,
)


def paths_in(folder: Path, name: str = "x.results.csv") -> ResultPaths:
    return result_paths("in.csv", run_id="r1", results=folder / name)


def reads(path: Path) -> ReadFiles:
    return ReadFiles(files=((message("report.read_input"), path),))


@pytest.mark.parametrize(
    ("source", "results"),
    [
        ("in/customers.csv", "in/customers.r1.results.csv"),
        ("in/customers.csv.gz", "in/customers.r1.results.csv"),
        ("customers.zip", "customers.r1.results.csv"),
        ("Отчёт 15.11.2026.XLSX", "Отчёт 15.11.2026.r1.results.csv"),
        ("customers.r0.failed.csv", "customers.r0.failed.r1.results.csv"),
        ("customers", "customers.r1.results.csv"),
        (".csv", ".csv.r1.results.csv"),
        ("-", "stdin.r1.results.csv"),
    ],
)
def test_results_are_beside_the_input_with_its_stem(source, results):
    assert result_paths(source, run_id="r1").results == Path(results)


@pytest.mark.parametrize(
    ("results", "stem"),
    [
        ("out/X.results.csv", "out/X"),
        ("X.csv", "X"),
        ("X.xlsx", "X"),
        ("X.Results.XLSX", "X"),
        ("X.txt", "X.txt"),
        ("X", "X"),
    ],
)
def test_other_files_are_named_after_the_results(results, stem):
    paths = result_paths("in.csv", run_id="r1", results=Path(results))
    assert paths.all() == tuple(
        map(Path, (results, f"{stem}.failed.csv", f"{stem}.unknown.csv", f"{stem}.summary.json"))
    )
    assert paths.is_xlsx == results.lower().endswith(".xlsx")


def test_write_check_leaves_nothing_behind(tmp_path):
    check_writable(paths_in(tmp_path), reads=reads(tmp_path / "in.csv"))
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_reported_before_sending(tmp_path):
    with pytest.raises(RunStopped, match=r"folder .*gone is not there\. Choose another place with `output.results`"):
        check_writable(paths_in(tmp_path / "gone"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_read_only_folder_is_reported_before_sending(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunStopped, match="does not allow it"):
        check_writable(paths_in(tmp_path))


@pytest.mark.parametrize("name", ["x.results.csv", "x.failed.csv", "x.unknown.csv", "x.summary.json"])
def test_result_path_cannot_be_the_input(tmp_path, name):
    source = tmp_path / name
    source.write_text("kept")
    with pytest.raises(JobError, match="would overwrite the input"):
        check_writable(paths_in(tmp_path), reads=reads(tmp_path / "." / name))
    assert source.read_text() == "kept"


def test_device_or_folder_is_not_replaced(tmp_path):
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(JobError, match="is not a file"):
        check_writable(paths_in(tmp_path, "x.csv"))


def test_too_many_rows_for_a_sheet_are_refused_first(tmp_path):
    check_writable(paths_in(tmp_path, "x.xlsx"), rows=XLSX_ROWS - 1)
    check_writable(paths_in(tmp_path, "x.csv"), rows=XLSX_ROWS)
    with pytest.raises(JobError, match="an Excel sheet holds 1,048,576 lines"):
        check_writable(paths_in(tmp_path, "x.xlsx"), rows=XLSX_ROWS)
