"""Fault 19 and the lock: an edited file under the same name, concurrent starts, a run whose process was killed."""

from __future__ import annotations

import os
import random
import signal
import socket
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.events import RowFinished
from batch_enroll.ledger.sqlite import SqliteLedger
from batch_enroll.run.api import enroll_async
from tests.proof.harness import FINISHED, KILLED, LOCKED, REFUSED, started, watch
from tests.proof.inputs import leads, write_leads
from tests.proof.interruptions import ROW_POINTS, kill_after_requests, kill_at
from tests.proof.invariants import check
from tests.support.sandbox import wait_until
from tests.support.scripted_platform import ScriptedPlatform


@pytest.fixture
def interrupted(trial):
    """A run that was killed in the middle, and what the ledger says of it."""
    the = trial(leads(60), latency_s=0.02, concurrency=4)
    assert the.once(strike=kill_after_requests(30)).code == KILLED
    the.sandbox.control(latency_s=0)
    return the


CHANGES = {
    "sorted": lambda rows: sorted(rows, reverse=True),
    "inserted": lambda rows: [("new1@example.com", "New"), *rows[:20], ("new2@example.com", "New"), *rows[20:]],
    "corrected": lambda rows: [(email, f"{name} (corrected)") for email, name in rows],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_edited_file_sends_only_unsent_identities(interrupted, change):
    the = interrupted.edited(change(interrupted.rows))
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert max(the.sandbox.received().values()) == 1
    assert verdict.statuses["skipped"] >= 10


def test_other_encoding_has_the_same_identities(interrupted):
    the = interrupted.edited(interrupted.rows, encoding="utf-16")
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert max(the.sandbox.received().values()) == 1


def test_restored_file_sends_no_row_twice(interrupted):
    original = list(interrupted.rows)
    the = interrupted.edited([*original, ("late@example.com", "Late")])
    the.until_finished()
    assert the.verdict().holds
    write_leads(interrupted.source, original)
    interrupted.until_finished()
    assert max(the.sandbox.received().values()) == 1, "the first run sent what the second had sent"


def test_file_edited_during_its_run_sends_no_row_twice(trial):
    first = trial(leads(400), latency_s=1.0)  # long enough for a second start on a slow machine
    with started(first.start()) as process:
        watch(process, until=lambda: first.arrived() >= 8)
        second = first.edited([*first.rows, ("late@example.com", "Late")])
        locked = second.once()
        assert locked.code == LOCKED, locked
        first.sandbox.control(latency_s=0)
        first.end(process)
    second.until_finished()
    assert sorted(first.sandbox.received().values()) == [1] * 401


def test_alternating_killed_versions_send_no_row_twice(trial):
    luck = random.Random(1)
    first = trial(leads(80, luck), concurrency=4)
    second = replace(first, rows=[*reversed(first.rows), ("late@example.com", "Late")], results_name="second")
    reported = []
    for _ in range(3):
        for version in (first, second):
            write_leads(version.source, version.rows)
            version.once(strike=kill_at(luck.choice(ROW_POINTS), luck.randint(1, 14)))
    for version in (first, second):
        write_leads(version.source, version.rows)
        version.once()
        reported.append(anyio.run(version.report))
    verdict = check(first.sandbox.stats(), reported, cuts=first.cuts + second.cuts, in_flight=first.concurrency)
    assert verdict.holds, verdict
    assert first.cuts + second.cuts >= 4
    assert "not_sent" not in verdict.statuses


class SlippingClock(SystemClock):
    """A clock that somebody sets."""

    back = timedelta(0)

    def now(self):
        return super().now() - self.back


async def test_clock_set_back_sends_no_row_twice(tmp_path):
    platform, clock, control = ScriptedPlatform(), SlippingClock(), Control()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", clock=clock, state_folder=tmp_path / "state")
    job = Job.model_validate(
        {"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}}
        | {"send": {"rate": "none", "concurrency": 1}}
    )

    async def run(rows, **how):
        source = write_leads(tmp_path / "leads.csv", rows)
        return await enroll_async(
            job, source, token="secret", ledger=ledger, transport=platform.transport, clock=clock, **how
        )

    def stop_early(event):
        if isinstance(event, RowFinished) and event.row_number == 6:
            control.stop("Stopped by the test.")

    first, second = leads(20), leads(21)
    await run(first, emit=stop_early, control=control)
    clock.back = timedelta(hours=1)
    await run(second)
    await run(first)
    assert sorted(platform.emails()) == sorted(email for email, _ in second)


def test_killed_retry_batch_is_resumed(trial):
    people = leads(60)
    people[::3] = [(email.replace("user", "nobody"), name) for email, name in people[::3]]
    the = trial(people, concurrency=4)
    assert the.until_finished().code == 1
    for strike in (kill_at("after:send", 12), kill_at("before:send", 2)):
        assert the.other("retry", the.run_id, "--errors", strike=strike).code == KILLED
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses["success"] == 40
    assert the.sandbox.totals()["requests"]["workflows/start"] >= 60 + 20


def test_second_start_is_refused_and_sends_nothing(trial):
    the = trial(leads(60), latency_s=1.0)
    with started(the.start()) as first:
        watch(first, until=lambda: the.arrived() >= 8)
        second = the.once()
        assert second.code == LOCKED, second
        assert f"process {first.pid} on {socket.gethostname()}" in second.err
        the.sandbox.control(latency_s=0)
        the.end(first)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 60}


def test_one_of_several_simultaneous_starts_runs(trial):
    the = trial(leads(60), latency_s=0.5)
    with started(the.start()) as first, started(the.start()) as second, started(the.start()) as third:
        all_three = (first, second, third)
        wait_until(lambda: sum(process.poll() is not None for process in all_three) == 2)
        the.sandbox.control(latency_s=0)
        ends = sorted((the.end(process) for process in all_three), key=lambda ended: ended.code)
    assert [ended.code for ended in ends] == [0, LOCKED, LOCKED], "\n".join(map(str, ends))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 60}


@pytest.mark.parametrize("moment", ["before:create:1", "before:seal:1", "before:open:1"])
def test_start_frozen_during_another_run_sends_no_row_twice(trial, moment):
    the = trial(leads(30))
    if moment == "before:open:1":  # there is a run to resume
        assert the.once(strike=kill_at("after:settle", 5)).code == KILLED
    with started(the.start("--freeze", moment)) as slow:
        os.waitid(os.P_PID, slow.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        quick = the.once()
        assert quick.code in (*FINISHED, LOCKED), quick
        sent = the.arrived()
        slow.send_signal(signal.SIGCONT)
        ended = the.end(slow)
    assert ended.code in (*FINISHED, REFUSED, LOCKED), ended
    assert quick.code == LOCKED or the.arrived() == sent, ended
    verdict = the.verdict()
    assert verdict.holds, verdict


def test_abandoned_run_is_resumed_at_once(trial):
    the = trial(leads(60), latency_s=0.05, concurrency=4)
    with started(the.start()) as process:
        watch(process, until=lambda: the.arrived() >= 10)
        process.kill()  # its exit status was not read yet, so the system still lists it
        ended = the.once()
        assert ended.code in FINISHED, ended
        the.end(process)
    verdict = the.verdict()
    assert verdict.holds, verdict
