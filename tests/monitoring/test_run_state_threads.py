"""The status ticker reads in its own thread while the event loop's thread counts."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.events import RowFinished, RunPlanned, RunStarted
from batch_enroll.models import Counts, Outcome, RowStatus
from batch_enroll.reporting.run_state import RunStage, RunStateTracker

ROWS = 20_000
CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Reader(threading.Thread):
    """Looks at a tracker as often as it can, until it is told to end."""

    def __init__(self, tracker):
        super().__init__(daemon=True)
        self.tracker, self.over = tracker, threading.Event()
        self.seen, self.error = [], None

    def run(self):
        try:
            while not self.over.is_set():
                self.seen.append(self.tracker.snapshot())
        except Exception as error:
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def start(tracker, counts):
    at = CLOCK.now()
    tracker(
        RunPlanned(
            at=at,
            run_id="r1",
            resumed=False,
            counts=counts,
            folder=Path("runs/r1"),
            input_name="in.csv",
            input_sha256="ab" * 32,
        )
    )
    tracker(RunStarted(at=at, run_id="r1", to_send=counts.not_sent, counts=counts))


def test_rate_is_readable_while_runs_start():
    """Each beginning empties the samples that the rate is made of."""
    tracker, counts = RunStateTracker(job="nightly", scenario=3, clock=CLOCK), Counts(not_sent=ROWS)
    with Reader(tracker) as one, Reader(tracker) as other:
        end = time.monotonic() + 2
        while time.monotonic() < end and not (one.error or other.error):
            start(tracker, counts)
    assert (one.error, other.error) == (None, None)


def test_counts_add_up_in_every_snapshot():
    tracker, counts = RunStateTracker(job="nightly", scenario=3, clock=CLOCK), Counts(not_sent=ROWS)
    start(tracker, counts)
    with Reader(tracker) as reader:
        for seq in range(1, ROWS + 1):
            outcome = Outcome(seq=seq, status=RowStatus.SUCCESS)
            tracker(RowFinished(at=CLOCK.now(), row_number=seq + 1, outcome=outcome, key=b""))
    assert reader.error is None
    assert {standing.counts.rows for standing in reader.seen} == {ROWS}
    assert {standing.done - standing.counts.success for standing in reader.seen} == {0}
    assert tracker.snapshot().stage is RunStage.SENDING
