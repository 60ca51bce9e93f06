"""Progress of a run on a terminal and in a log."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_enroll.events import (
    Event,
    Paused,
    PlanningStarted,
    RateChanged,
    RateSet,
    Resumed,
    RowFinished,
    RowsRead,
    RunFinished,
    RunStarted,
    Stopping,
    WritingResults,
)
from batch_enroll.models import Counts, Outcome, RowStatus
from batch_enroll.reporting.progress import progress_on
from batch_enroll.reporting.run_state import RunStateTracker
from tests.support.clocks import ManualClock

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


class ShownProgress:
    """A run's state and its display, which hear each event in this order."""

    def __init__(self, stream: io.StringIO, clock: ManualClock, *, quiet: bool = False) -> None:
        self.state = RunStateTracker(job="nightly", scenario=3, clock=clock)
        self.display = progress_on(stream, state=self.state, clock=clock, quiet=quiet)

    def __call__(self, event: Event) -> None:
        self.state(event)
        self.display(event)

    def __enter__(self) -> ShownProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.display.close()


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def row(seq: int, status: RowStatus = RowStatus.SUCCESS) -> RowFinished:
    return RowFinished(at=AT, row_number=seq + 1, outcome=Outcome(seq=seq, status=status))


def started(to_send: int) -> RunStarted:
    return RunStarted(at=AT, run_id="r1", to_send=to_send, counts=Counts(not_sent=to_send))


FINISHED = RunFinished(at=AT, run_id="r1", counts=Counts())


def test_log_line_every_30_seconds():
    clock, stream = ManualClock(AT), io.StringIO()
    with ShownProgress(stream, clock) as progress:
        progress(started(2_000))
        for seq in range(1, 1_001):
            progress(row(seq, RowStatus.ERROR if seq % 100 == 0 else RowStatus.SUCCESS))
            clock.moved_s += 0.125
        progress(FINISHED)
    assert stream.getvalue().splitlines() == [
        "sending 2,000 rows",
        "241 of 2,000 rows: 239 success, 2 error; 8.03 a second, 3 min 39 s left",
        "481 of 2,000 rows: 477 success, 4 error; 8.02 a second, 3 min 9 s left",
        "721 of 2,000 rows: 714 success, 7 error; 8.01 a second, 2 min 40 s left",
        "961 of 2,000 rows: 952 success, 9 error; 8.01 a second, 2 min 10 s left",
        "1,000 of 2,000 rows: 990 success, 10 error; 8 a second, 2 min 5 s left",
    ]


def test_writing_results_is_shown():
    clock, stream = ManualClock(AT), io.StringIO()
    with ShownProgress(stream, clock) as progress:
        progress(started(1))
        progress(row(1))
        for rows in range(0, 1_000_001, 100_000):
            progress(WritingResults(at=AT, run_id="r1", rows=rows, of=1_000_000))
            clock.moved_s += 7.5
        progress(FINISHED)
    assert stream.getvalue().splitlines() == [
        "sending 1 row",
        "1 of 1 row: 1 success",
        "writing results: 400,000 of 1,000,000 rows",
        "writing results: 800,000 of 1,000,000 rows",
    ]


def test_pause_is_shown_and_not_counted_as_time():
    clock, stream = ManualClock(AT), io.StringIO()
    with ShownProgress(stream, clock) as progress:
        progress(started(100))
        for seq in range(1, 21):
            progress(row(seq))
            clock.moved_s += 0.5
        progress(Paused(at=AT, in_flight=1))
        clock.moved_s += 600
        progress(row(21))
        clock.moved_s += 3_000
        progress(RateSet(at=AT, rate_per_s=None, concurrency=3))
        progress(Resumed(at=AT))
        progress(FINISHED)
    assert stream.getvalue().splitlines() == [
        "sending 100 rows",
        "Paused; `batch-enroll resume r1` continues it. Waiting for 1 request in flight.",
        "20 of 100 rows: paused, 20 success",
        "21 of 100 rows: paused, 21 success",
        "The rate was set: without a limit, 3 at once.",
        "Resumed.",
        "21 of 100 rows: 21 success; 2.1 a second, 38 s left",
        "21 of 100 rows: 21 success; 2.1 a second, 38 s left",
    ]


def test_bar_shows_pause():
    clock, terminal = ManualClock(AT), Terminal()
    with ShownProgress(terminal, clock) as progress:
        progress(started(100))
        progress(row(1))
        progress(Paused(at=AT, in_flight=0))
        assert "paused, 1 success" in terminal.getvalue()
        progress(Resumed(at=AT))
        assert "paused" not in terminal.getvalue().rpartition("\r")[2]


def test_reading_is_shown_at_intervals():
    clock, stream = ManualClock(AT), io.StringIO()
    progress = ShownProgress(stream, clock)
    for rows in (10_000, 20_000, 30_000):
        progress(RowsRead(at=AT, rows=rows))
        clock.moved_s += 15
    assert stream.getvalue() == "read 30,000 rows\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_reading_shows_run_id(stream):
    clock = ManualClock(AT)
    progress = ShownProgress(stream, clock)
    progress(PlanningStarted(at=AT, run_id="a906cc51", folder=Path("/runs/a906cc51"), input_name="in.csv"))
    clock.moved_s += 31
    progress(RowsRead(at=AT, rows=30_000))
    assert "run a906cc51: read 30,000 rows" in stream.getvalue()
    progress.display.close()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_throttling_and_stop_are_shown(stream):
    with ShownProgress(stream, ManualClock(AT)) as progress:
        progress(started(2))
        progress(RateChanged(at=AT, rate_per_s=7, pause_s=0.2))
        progress(RateChanged(at=AT, rate_per_s=7, pause_s=30))
        progress(Stopping(at=AT, reason="the platform refused the token."))
    text = stream.getvalue()
    assert text.count("asked for a pause") == 1
    assert "The platform asked for a pause of 30 s." in text
    assert "waiting for the requests in flight: the platform refused the token." in text


def test_bar_is_drawn_at_most_ten_times_a_second():
    clock, stream = ManualClock(AT), Terminal()
    with ShownProgress(stream, clock) as progress:
        progress(started(1_000))
        for seq in range(1, 1_001):
            progress(row(seq, RowStatus.UNKNOWN if seq == 1 else RowStatus.SUCCESS))
            clock.moved_s += 0.001
        progress(FINISHED)
    text = stream.getvalue()
    assert 10 <= text.count("\r") <= 25  # each drawing is one or two of them
    assert "100%" in text
    assert "1,000/1,000" in text
    assert "999 success, 1 unknown" in text


def test_bar_ends_its_line_on_exception():
    stream = Terminal()

    def run() -> None:
        with ShownProgress(stream, ManualClock(AT)) as progress:
            progress(started(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert stream.getvalue().endswith("\n")


def test_progress_continues_after_a_prompt():
    clock, stream = ManualClock(AT), Terminal()
    progress = ShownProgress(stream, clock)
    clock.moved_s += 1
    progress(RowsRead(at=AT, rows=5))
    progress.display.close()
    stream.write("Start 5 profiles? ")
    progress(started(5))
    progress(row(1))
    progress.display.close()
    after = stream.getvalue().partition("Start 5 profiles? ")[2]
    assert "0/5" in after
    assert "read" not in after


def test_quiet_shows_nothing():
    stream = Terminal()
    with ShownProgress(stream, ManualClock(AT), quiet=True) as progress:
        progress(started(1))
        progress(row(1))
        progress(Stopping(at=AT, reason="x"))
        progress(FINISHED)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_closed_terminal_does_not_end_the_run(kind):
    stream = kind()
    with ShownProgress(stream, ManualClock(AT)) as progress:
        progress(started(1))
        stream.close()
        with pytest.raises(ValueError, match="closed file"):
            stream.write("x")
        progress(Stopping(at=AT, reason="x"))
        progress(FINISHED)
    assert stream.closed


def test_reporting_imports_no_heavy_library():
    modules = "result_paths, plan_table, progress, results_writer, summary"
    code = (
        f"from batch_enroll.reporting import {modules}\nimport sys\n"
        "heavy = {'rich', 'tqdm', 'xlsxwriter', 'pandas'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
