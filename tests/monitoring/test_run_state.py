"""The state of a run, counted from its events in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_enroll.events import (
    AttemptFailed,
    Paused,
    RateChanged,
    Resumed,
    RowFinished,
    RowsRead,
    RunPlanned,
    RunStarted,
    Stopping,
    WritingResults,
)
from batch_enroll.messages import NO_TEXT
from batch_enroll.models import Counts, Outcome, RowStatus
from batch_enroll.monitoring.status_file import StatusFile
from batch_enroll.reporting.run_result import RunResult, redact_personal_data
from batch_enroll.reporting.run_state import RunStage, RunStateTracker
from tests.support.clocks import ManualClock

BEGIN = datetime(2026, 11, 25, tzinfo=UTC)


class Run:
    """Events of a run of ten rows."""

    def __init__(self, *, unknown: int = 0) -> None:
        self.clock = ManualClock(BEGIN)
        self.tracker = RunStateTracker(job="nightly", scenario=3, clock=self.clock)
        self.counts = Counts(not_sent=10, skipped=2, unknown=unknown)

    def plan(self, *, resumed: bool = False) -> None:
        at = self.clock.now()
        self.tracker(RowsRead(at=at, rows=12))
        self.tracker(
            RunPlanned(
                at=at,
                run_id="r1",
                resumed=resumed,
                counts=self.counts,
                folder=Path("no-such-folder"),
                input_name="in.csv",
                input_sha256="0" * 64,
            )
        )

    def start(self) -> None:
        self.plan()
        self.tracker(RunStarted(at=self.clock.now(), run_id="r1", to_send=10, counts=self.counts))

    def finish(self, status: RowStatus = RowStatus.SUCCESS, code: str = "") -> None:
        outcome = Outcome(seq=1, status=status, code=code)
        self.tracker(RowFinished(at=self.clock.now(), row_number=2, outcome=outcome))


def test_counts_follow_the_rows_and_always_add_up():
    run = Run()
    run.start()
    run.finish()
    run.finish(RowStatus.ERROR, "404")
    run.finish(RowStatus.UNKNOWN, "timeout")
    run.finish(RowStatus.NOT_SENT, "throttled")
    standing = run.tracker.snapshot()
    assert standing.counts == Counts(success=1, error=1, unknown=1, not_sent=7, skipped=2)
    assert (standing.done, standing.requests, standing.to_send) == (4, 4, 10)
    assert standing.unknown_by_code == {"timeout": 1}
    assert standing.counts.rows == run.counts.rows


def test_rows_unknown_from_earlier_have_their_own_cause():
    run = Run(unknown=3)
    run.start()
    run.finish(RowStatus.UNKNOWN, "timeout")
    assert run.tracker.snapshot().unknown_by_code == {"earlier": 3, "timeout": 1}


def test_rate_covers_the_last_ten_seconds():
    run = Run()
    run.start()
    assert run.tracker.snapshot().rate_per_s is None
    for _ in range(5):
        run.clock.moved_s += 1
        run.finish()
        run.tracker.snapshot()
    assert run.tracker.snapshot().rate_per_s == pytest.approx(1.0)
    assert run.tracker.snapshot().eta_s == pytest.approx(5.0)
    for _ in range(20):
        run.clock.moved_s += 1
        run.tracker.snapshot()
    standing = run.tracker.snapshot()
    assert (standing.rate_per_s, standing.eta_s) == (0.0, None)


def test_rows_a_second_are_those_that_were_sent():
    """A row whose connection is refused ends at once and was not sent."""
    run = Run()
    run.start()
    for status in (RowStatus.SUCCESS, RowStatus.UNKNOWN, RowStatus.NOT_SENT, RowStatus.NOT_SENT):
        run.clock.moved_s += 1
        run.finish(status, "connection_refused" if status is RowStatus.NOT_SENT else "")
    assert run.tracker.snapshot().rows_per_s == pytest.approx(0.5)


def test_throttled_attempts_are_counted_separately():
    run = Run()
    run.start()
    for throttled in (True, False):
        run.tracker(
            AttemptFailed(
                at=BEGIN, row_number=2, attempt=1, code="429", message=NO_TEXT, wait_s=1.0, throttled=throttled
            )
        )
    run.finish()
    run.finish()
    assert run.tracker.snapshot().throttled_ratio == 0.25


def test_pause_and_resume_change_the_stage():
    run = Run()
    run.start()
    run.tracker(Paused(at=run.clock.now(), in_flight=1))
    assert run.tracker.snapshot().stage is RunStage.PAUSED
    run.tracker(Resumed(at=run.clock.now()))
    assert run.tracker.snapshot().stage is RunStage.SENDING


def test_next_input_starts_at_zero():
    run = Run()
    run.start()
    run.finish(RowStatus.UNKNOWN, "timeout")
    run.tracker.end(RunResult(exit_code=4, meaning="", counts=Counts(unknown=1), requests=1))
    run.tracker(RowsRead(at=run.clock.now(), rows=5))
    standing = run.tracker.snapshot()
    assert (standing.stage, standing.run_id, standing.ending, standing.requests) == (RunStage.PLANNING, None, None, 0)
    assert (standing.unknown_by_code, standing.rows_read) == ({}, 5)
    run.tracker.end(RunResult(exit_code=2, meaning=""))
    assert run.tracker.snapshot().stage is RunStage.FAILED


def test_failed_input_is_separate_from_the_previous_one():
    run = Run()
    run.start()
    run.tracker.end(RunResult(exit_code=0, meaning=""))
    run.tracker.end(RunResult(exit_code=2, meaning=""))
    assert (run.tracker.snapshot().run_id, run.tracker.snapshot().stage) == (None, RunStage.FAILED)


def test_stages_of_a_run():
    run = Run()
    stages = [run.tracker.snapshot().stage]
    run.plan()
    stages.append(run.tracker.snapshot().stage)
    run.start()
    stages.append(run.tracker.snapshot().stage)
    run.tracker(RateChanged(at=run.clock.now(), rate_per_s=1.0, pause_s=5.0))
    stages.append(run.tracker.snapshot().stage)
    run.clock.moved_s += 6
    stages.append(run.tracker.snapshot().stage)
    run.tracker(Stopping(at=run.clock.now(), reason="enough"))
    stages.append(run.tracker.snapshot().stage)
    run.tracker(WritingResults(at=run.clock.now(), run_id="r1", rows=0, of=12))
    stages.append(run.tracker.snapshot().stage)
    assert run.tracker.snapshot().rate_per_s is None
    run.tracker.end(RunResult(exit_code=3, meaning="stopped"))
    stages.append(run.tracker.snapshot().stage)
    assert stages == [
        *(RunStage.PLANNING, RunStage.PLANNING, RunStage.SENDING, RunStage.PAUSED, RunStage.SENDING),
        *(RunStage.STOPPING, RunStage.REPORTING, RunStage.STOPPED),
    ]


@pytest.mark.parametrize(
    ("began", "exit_code", "stage"),
    [
        (False, 2, RunStage.FAILED),
        (False, 0, RunStage.FINISHED),
        (True, 4, RunStage.FINISHED),
        (True, 3, RunStage.STOPPED),
        (True, 130, RunStage.STOPPED),
    ],
)
def test_last_stage_follows_the_exit_code(began, exit_code, stage):
    run = Run()
    if began:
        run.start()
    run.tracker.end(RunResult(exit_code=exit_code, meaning=""))
    assert run.tracker.snapshot().stage is stage


@pytest.mark.parametrize(
    ("resumed", "counts", "stage"),
    [
        (True, Counts(success=1, not_sent=2), RunStage.STOPPED),
        (True, Counts(unknown=1, not_sent=2), RunStage.STOPPED),
        (True, Counts(not_sent=3, skipped=1), RunStage.FAILED),
        (False, Counts(success=1, not_sent=2), RunStage.FAILED),
    ],
)
def test_resumed_run_that_sent_nothing_is_stopped(resumed, counts, stage):
    run = Run()
    run.counts = counts
    run.plan(resumed=resumed)
    run.tracker.end(RunResult(exit_code=2, meaning=""))
    assert run.tracker.snapshot().stage is stage
    assert run.tracker.snapshot().begun_before == (stage is RunStage.STOPPED)
    run.plan()
    run.tracker.end(RunResult(exit_code=2, meaning=""))
    assert run.tracker.snapshot().stage is RunStage.FAILED  # the next input begins at nothing


def test_nothing_is_written_before_the_run_lock_is_held(tmp_path):
    run = Run()
    path = tmp_path / "status.json"
    file = StatusFile(path, host="h")
    assert file.write(run.tracker.snapshot()) is None
    assert not path.exists()
    run.tracker.end(RunResult(exit_code=5, meaning=""))
    file.write(run.tracker.snapshot())
    assert not path.exists()
    run.tracker.end(RunResult(exit_code=2, meaning=""))
    file.write(run.tracker.snapshot())
    assert path.exists()


def test_unwritable_status_file_returns_the_error(tmp_path):
    run = Run()
    run.start()
    assert isinstance(StatusFile(tmp_path / "gone" / "s.json", host="h").write(run.tracker.snapshot()), OSError)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Row 1 looks like data ('anna@example.com'), so", "Row 1 looks like data ('…'), so"),
        ("Row 1 looks like data ('+7 (916) 123-45-67'), so", "Row 1 looks like data ('…'), so"),
        ("the number 79161234567 is there", "the number … is there"),
        ("It holds 79161234567.", "It holds …."),
        ("It holds 8 916 123-45-67, 24.11.1990.", "It holds …, …."),
        *[
            (same, same)
            for same in (
                "finished on 2026-11-24 at 01:00 (400 rows: 400 success)",
                "finished on 2026-11-24 01:00 UTC+03:00 (1842 rows)",
                "Run 28277041 is held; resume 28277041, show 28277041",
                "http://192.168.100.200:8080 did not answer",
                "/data/20261124/ledger.sqlite is full; C:\\20261124\\a",
                "leads-20261124.csv has 1,234,567 rows, 2026-11-24 2,000,000 of 12,345,678",
            )
        ],
        ("1,842,000 rows would be sent, but max_rows allows 50,000.",) * 2,
        ("run 2b4ff3fb, finished on 2026-11-25 at 05:30 (1,842 rows)",) * 2,
        ("The deadline 05:30 has come.",) * 2,
        ("/data/2026-11-25.csv cannot be read",) * 2,
    ],
)
def test_personal_data_is_removed_from_messages(said, told):
    assert redact_personal_data(said) == told
