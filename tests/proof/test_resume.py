"""Fault 19 and the lock: another file under the same name, two starts at once, a run whose process is gone."""

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
from tests.proof.invariants import check
from tests.proof.strikes import ROW_POINTS, kill_after_requests, kill_at
from tests.support.platform import ScriptedPlatform
from tests.support.sandbox import wait_until


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
def test_an_edited_file_sends_only_those_whom_the_dead_run_had_not_sent(interrupted, change):
    the = interrupted.edited(change(interrupted.rows))
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert max(the.sandbox.received().values()) == 1
    assert verdict.statuses["skipped"] >= 10


def test_the_same_rows_in_another_encoding_are_the_same_people(interrupted):
    the = interrupted.edited(interrupted.rows, encoding="utf-16")
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert max(the.sandbox.received().values()) == 1


def test_when_the_first_file_comes_back_after_an_edited_one_was_sent_nobody_is_sent_twice(interrupted):
    original = list(interrupted.rows)
    the = interrupted.edited([*original, ("late@example.com", "Late")])
    the.until_finished()
    assert the.verdict().holds
    write_leads(interrupted.source, original)
    interrupted.until_finished()
    assert max(the.sandbox.received().values()) == 1, "the first run sent what the second had sent"


def test_when_a_file_is_edited_and_started_while_its_run_is_sending_nobody_is_sent_twice(trial):
    first = trial(leads(60), latency_s=1.0)
    with started(first.start()) as process:
        watch(process, until=lambda: first.arrived() >= 8)
        second = first.edited([*first.rows, ("late@example.com", "Late")])
        locked = second.once()
        assert locked.code == LOCKED, locked
        first.sandbox.control(latency_s=0)
        first.end(process)
    second.until_finished()
    assert sorted(first.sandbox.received().values()) == [1] * 61


def test_two_versions_of_a_file_that_take_turns_and_are_killed_send_nobody_twice(trial):
    luck = random.Random(1)
    first = trial(leads(80, luck), concurrency=4)
    second = replace(first, rows=[*reversed(first.rows), ("late@example.com", "Late")], results_name="second")
    told = []
    for _ in range(3):
        for version in (first, second):
            write_leads(version.source, version.rows)
            version.once(strike=kill_at(luck.choice(ROW_POINTS), luck.randint(1, 14)))
    for version in (first, second):
        write_leads(version.source, version.rows)
        version.once()
        told.append(anyio.run(version.report))
    verdict = check(first.sandbox.stats(), told, cuts=first.cuts + second.cuts, in_flight=first.concurrency)
    assert verdict.holds, verdict
    assert first.cuts + second.cuts >= 4
    assert "not_sent" not in verdict.statuses


class SlippingClock(SystemClock):
    """A clock that somebody sets."""

    back = timedelta(0)

    def now(self):
        return super().now() - self.back


async def test_when_the_clock_is_set_back_between_two_versions_of_a_file_nobody_is_sent_twice(tmp_path):
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


def test_a_wave_of_retries_that_is_killed_is_carried_on_and_leaves_alone_who_was_enrolled(trial):
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


def test_a_second_start_is_told_who_is_at_work_and_sends_nothing(trial):
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


def test_of_several_starts_at_the_same_moment_one_works_and_nobody_is_sent_twice(trial):
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
def test_a_start_that_slept_while_another_one_worked_sends_nothing_twice(trial, moment):
    the = trial(leads(30))
    if moment == "before:open:1":  # there is something to carry on
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


def test_a_run_whose_process_is_gone_is_carried_on_at_once(trial):
    the = trial(leads(60), latency_s=0.05, concurrency=4)
    with started(the.start()) as process:
        watch(process, until=lambda: the.arrived() >= 10)
        process.kill()  # and nobody has asked yet how it ended: the system still lists it
        ended = the.once()
        assert ended.code in FINISHED, ended
        the.end(process)
    verdict = the.verdict()
    assert verdict.holds, verdict
