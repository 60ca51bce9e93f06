"""`run --processes 2` keeps the promise and the pace of one process, whoever of the three is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from batch_enroll.sandbox import FAULT_NAMES, FaultRule
from tests.support.commands import read_results
from tests.support.workers import alive, gone_within, seen_from_outside, wait_for_workers

if not sys.platform.startswith("linux"):
    pytest.skip("workers are found in /proc", allow_module_level=True)

from tests.proof.harness import KILLED, Strike, Trial, surroundings
from tests.proof.inputs import leads
from tests.proof.strikes import after_requests

IN_FLIGHT = 8
SETTLED = ("enroll_status", "enroll_code", "enroll_message", "enroll_http_status", "enroll_attempts")


@pytest.fixture
def trial(tmp_path, sandbox):
    """`trial(rows, faults=...)`: a trial with two workers against the session's sandbox, all counts at 0."""

    def fresh(rows, *, faults=(), latency_s=0.0, processes=2, flags=(), name="two"):
        return Trial(
            folder=tmp_path / name,
            sandbox=sandbox(faults=faults, latency_s=latency_s),
            rows=rows,
            concurrency=IN_FLIGHT,
            flags=("--processes", processes, *flags),
        )

    return fresh


class Seen:
    """A strike that also remembers which workers there were."""

    def __init__(self, do, *, after):
        self.pids: list[int] = []
        self._do = do
        self._after = after

    def strike(self):
        def act(trial, process):
            self.pids = wait_for_workers(process.pid, 2)
            after_requests(trial, process, self._after, lambda: self._do(process, self.pids))

        return Strike(act)


def test_every_row_is_sent_once_and_the_token_is_in_no_list_of_processes(trial):
    the = trial(leads(400), latency_s=0.01)
    shown: list[bytes] = []
    seen = Seen(lambda process, pids: shown.extend(map(seen_from_outside, pids)), after=50)
    ended = the.once(strike=seen.strike())
    assert ended.code == 0, ended
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 400}
    assert alive(seen.pids) == []
    assert len(shown) == 2
    assert all(b"PATH=" in text and the.sandbox.token.encode() not in text for text in shown)


def test_every_fault_is_told_as_by_one_process(trial):
    names = [name for name in FAULT_NAMES if name.endswith("_after_acting")]
    rows = leads(2 * len(names))  # a good row beside each, since five bad ones running would stop the run
    faults = [FaultRule(fault=name, contains=rows[2 * at][0], times=1) for at, name in enumerate(names)]
    told = []
    for processes in (1, 2):
        the = trial(rows, faults=faults, processes=processes, name=str(processes), flags=("--timeout", 0.3))
        the.concurrency = 1  # one order of the answers
        assert the.once().code == 4
        verdict = the.verdict(is_finished=False)
        assert verdict.holds, verdict
        told.append([{name: line[name] for name in SETTLED} for line in read_results(the.results)])
    assert told[0] == told[1]
    assert [line["enroll_status"] for line in told[1]].count("unknown") == len(names)


def test_the_limit_holds_for_both_together(trial):
    the = trial(leads(70), flags=("--rate", 30), latency_s=(0.0, 0.05))
    assert the.once().code == 0
    totals = the.sandbox.totals()
    assert totals["peak_per_s"] <= 31
    assert totals["requests"]["workflows/start"] == 70


def test_a_killed_worker_costs_no_more_than_its_rows_in_flight(trial):
    the = trial(leads(200), latency_s=0.05)
    seen = Seen(lambda process, pids: os.kill(pids[0], signal.SIGKILL), after=50)
    ended = the.once(strike=seen.strike())
    the.cuts += 1
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict
    assert ended.code == 4, ended
    assert 1 <= verdict.unknown <= IN_FLIGHT / 2
    assert verdict.statuses["success"] == 200 - verdict.unknown
    assert {line["enroll_code"] for line in read_results(the.results)} == {"0", "worker_died"}


def test_when_the_coordinator_is_killed_the_workers_go_and_the_same_command_carries_on(trial):
    the = trial(leads(200), latency_s=0.05)
    seen = Seen(lambda process, pids: process.kill(), after=40)
    assert the.once(strike=seen.strike()).code == KILLED
    with gone_within(1.0, seen.pids):
        assert len(seen.pids) == 2
    the.until_finished()
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict
    assert verdict.statuses["success"] >= 200 - IN_FLIGHT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_ends_it_cleanly(trial, number, code):
    the = trial(leads(100), latency_s=0.1)

    def strike(process, pids):
        for pid in (*pids, process.pid):
            os.kill(pid, number)

    seen = Seen(strike, after=24)
    ended = the.once(strike=seen.strike())
    assert ended.code == code, ended
    assert alive(seen.pids) == []
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": the.arrived(), "not_sent": 100 - the.arrived()}, "no answer was given up"


def test_a_second_ctrl_c_waits_for_no_answer_and_leaves_no_worker(trial):
    the = trial(leads(60), faults="silence_after_acting@21+")

    def strike(process, pids):
        process.send_signal(signal.SIGINT)
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)

    seen = Seen(strike, after=28)
    began = time.monotonic()
    ended = the.once(strike=seen.strike())
    the.cuts += 1
    assert ended.code == 130, ended
    assert time.monotonic() - began < 15
    assert alive(seen.pids) == []
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict
    assert verdict.unknown == IN_FLIGHT


def test_of_a_crew_nothing_is_loaded_unless_it_is_asked_for(trial):
    the = trial(leads(3))
    code = """
import sys
from batch_enroll.cli.main import main
for more in (["--processes", "1"], ["--processes", "2", "--again"]):
    assert main([*sys.argv[1:], *more]) == 0
    print([name for name in ("crew", "crew_line", "frames") if f"batch_enroll.sending.{name}" in sys.modules])
"""
    words = ["run", the.source, "--url", the.sandbox.url, "--scenario", "3", "--match", "email=email", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--ledger", the.ledger],
        env=surroundings(the.folder, token=the.sandbox.token),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "['crew', 'crew_line', 'frames']"]
