"""The summary of a run: totals, exit code, JSON keys."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.errors import LedgerError
from batch_enroll.models import Counts, RowStatus
from batch_enroll.reporting.reason_counts import ReasonLine
from batch_enroll.reporting.summary import (
    RunEnd,
    RunSummary,
    exit_code_for,
    summary_to_json,
    write_summary,
)

RUN = RunSummary(
    run_id="7f3a",
    end=RunEnd.FINISHED,
    exit_code=1,
    counts=Counts(success=2, error=1),
    planned_rows=3,
    requests=4,
    started_at=datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
    duration_s=1.23456,
    url="https://ru.altkraft.com",
    scenario=3,
    scenario_name="Привет",
    input_name="customers.csv",
    reasons=(
        ReasonLine(status=RowStatus.ERROR, code="404", message="Not found", count=1, first_rows=(3,), advice="Import."),
    ),
    results=Path("x.results.csv"),
    failed=Path("x.failed.csv"),
)


@pytest.mark.parametrize(
    ("counts", "stopped", "code"),
    [
        (Counts(), False, 0),
        (Counts(success=1, skipped=1), False, 0),
        (Counts(success=1, error=1), False, 1),
        (Counts(success=1, invalid=1), False, 1),
        (Counts(success=1, unknown=1), False, 4),
        (Counts(error=1, unknown=1), False, 4),
        (Counts(success=1), True, 3),
        (Counts(success=1, unknown=1), True, 3),
        (Counts(success=1, not_sent=1), False, 3),
        (Counts(not_sent=1, error=1, unknown=1), False, 3),
    ],
)
def test_exit_code_follows_the_table(counts, stopped, code):
    assert exit_code_for(counts, stopped=stopped) == code


COUNT = st.integers(0, 3)


@given(st.builds(Counts, success=COUNT, error=COUNT, unknown=COUNT, invalid=COUNT, skipped=COUNT, not_sent=COUNT))
def test_exit_0_means_all_rows_are_success_or_skipped(counts):
    assert (exit_code_for(counts, stopped=False) == 0) == (counts.success + counts.skipped == counts.rows)


def test_json_object_has_the_documented_keys():
    assert summary_to_json(RUN) == {
        "run": "7f3a",
        "status": "finished",
        "stop_reason": None,
        "finding": None,
        "counts": {
            "success": 2,
            "error": 1,
            "unknown": 0,
            "invalid": 0,
            "skipped": 0,
            "not_sent": 0,
            "rows": 3,
        },
        "duration_s": 1.235,
        "requests": 4,
        "files": {"results": "x.results.csv", "failed": "x.failed.csv"},
        "exit_code": 1,
        "scenario": {"id": 3, "name": "Привет"},
        "url": "https://ru.altkraft.com",
        "input": "customers.csv",
        "started_at": "2026-11-25T09:30:00.000Z",
        "reasons": [
            {
                "status": "error",
                "code": "404",
                "message": "Not found",
                "advice": "Import.",
                "count": 1,
                "first_rows": [3],
            }
        ],
        "notices": [],
    }


@pytest.mark.parametrize("planned_rows", [2, 4])
def test_totals_that_do_not_add_up_give_an_error_and_no_file(tmp_path, planned_rows):
    with pytest.raises(LedgerError, match=f"do not add up: {planned_rows} rows were planned, 3 have a status"):
        write_summary(tmp_path / "x.summary.json", replace(RUN, planned_rows=planned_rows))
    assert list(tmp_path.iterdir()) == []


def test_file_holds_the_same_object(tmp_path):
    path = tmp_path / "x.summary.json"
    run = replace(RUN, input_name="половина \ud83d")
    write_summary(path, run)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [*content.pop("sha256")] == ["summary"]
    assert content == summary_to_json(run)
    assert "Привет" in path.read_text(encoding="utf-8")
    assert [path] == list(tmp_path.iterdir())
