"""Faults 12 and 13: signals, closed outputs and a deleted folder; the same command resumes the run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.proof.harness import FINISHED, KILLED, STOPPED, Strike, started
from tests.proof.inputs import leads
from tests.proof.interruptions import after_requests, freeze_after_requests, signal_after_requests
from tests.support.commands import read_results

LATENCY_S = 0.2
TIMEOUT_S = 30.0  #: of one request, by default


def test_sigterm_waits_for_requests_in_flight_and_resumes(trial):
    the = trial(leads(60), latency_s=LATENCY_S)
    began = time.monotonic()
    ended = the.once(strike=signal_after_requests(12, signal.SIGTERM, apart_s=0))
    assert ended.code == 143, ended
    assert time.monotonic() - began < TIMEOUT_S / 2
    assert 12 <= the.arrived() < 60
    the.sandbox.control(latency_s=0)
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 60}, "no answer was given up"


def test_results_after_sigterm_are_partial(trial):
    the = trial(leads(60), latency_s=LATENCY_S)
    assert the.once(strike=signal_after_requests(12, signal.SIGTERM, apart_s=0)).code == 143
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict
    assert verdict.statuses["success"] == the.arrived()
    assert verdict.statuses["not_sent"] == 60 - the.arrived()


def test_second_ctrl_c_ends_at_once_and_loses_nothing(trial):
    the = trial(leads(60), faults="silence_after_acting@5+", concurrency=4)
    began = time.monotonic()
    ended = the.once(strike=signal_after_requests(8, signal.SIGINT, signal.SIGINT))
    assert ended.code == 130, ended
    assert time.monotonic() - began < TIMEOUT_S / 2
    the.sandbox.control(faults=[])
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.unknown == 4


def test_sigkill_after_ctrl_c_loses_nothing(trial):
    the = trial(leads(60), faults="silence_before_acting@5+", concurrency=4)

    def interrupt_and_kill(the, process):
        after_requests(the, process, 8, lambda: process.send_signal(signal.SIGINT))
        process.kill()

    assert the.once(strike=Strike(interrupt_and_kill)).code == KILLED
    the.sandbox.control(faults=[])
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict


def test_closed_terminal_is_like_sigterm(trial):
    the = trial(leads(60), latency_s=LATENCY_S)
    assert the.once(strike=signal_after_requests(12, signal.SIGHUP, apart_s=0)).code == 143
    the.sandbox.control(latency_s=0)
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 60}


def test_freeze_beyond_the_timeout_makes_rows_unknown(trial):
    the = trial(leads(60), latency_s=0.05, flags=("--timeout", 0.5))
    the.until_finished(strikes=[freeze_after_requests(10, for_s=1.0)])
    verdict = the.verdict()
    assert verdict.holds, verdict


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_closed_output_pipe_loses_nothing(trial, closed):
    the = trial(leads(60), latency_s=0.02, flags=("--json", "--verbose"))
    reading, writing = os.pipe()
    ends = {name: writing if closed == name else subprocess.DEVNULL for name in ("stdout", "stderr")}
    with started(the.start(**ends)) as process:
        os.close(writing)
        after_requests(the, process, 10, lambda: os.close(reading))
        the.end(process)
    assert the.codes[0] in (*FINISHED, STOPPED), the.codes
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 60}


def test_deleted_results_folder_loses_nothing(trial, tmp_path):
    the = trial(leads(60), latency_s=0.05)
    the.results = tmp_path / "results" / "out.csv"
    the.results.parent.mkdir()
    removal = Strike(lambda the, process: after_requests(the, process, 10, lambda: shutil.rmtree(the.results.parent)))
    ended = the.once(strike=removal)
    assert ended.code == STOPPED, ended
    assert str(the.results.parent) in ended.err
    assert the.arrived() == 60, "what was begun is sent to its end"
    assert sorted(the.sandbox.enrolments().values()) == [1] * 60
    the.results.parent.mkdir()
    written = the.other("report", the.run_id, "--results", the.results)
    assert written.code == 0, written
    assert [line["enroll_status"] for line in read_results(the.results)] == ["success"] * 60
