"""Unattended runs that a deadline or the end of the allowed hours stops."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.support.commands import Ended
from tests.support.network_link import NetworkLink
from tests.support.sandbox import wait_until
from tests.support.settable_clock import SettableClock
from tests.unattended.conftest import check_all_enrolled, check_results, enrolled_once

MOSCOW = timezone(timedelta(hours=3))
LONG_S = 0.3  #: for one row of thirty: long enough to be interrupted on any machine
BEGIN = datetime(2026, 11, 25, 2, 0, tzinfo=MOSCOW)


@pytest.fixture
def clock(nights, monkeypatch) -> SettableClock:
    """The clock of every command of the test, two o'clock at night in Moscow; it goes as fast as any other."""
    monkeypatch.setenv("TZ", "MSK-3")
    clock = SettableClock(nights.cli.folder / "clock")
    clock.set(BEGIN)
    nights.cli.program = clock.program
    return clock


def ended_at(nights, clock, moment, when, source, job, *words):
    """Start it, wait for something to happen, let a moment come, and see how it ends."""
    process = nights.cli.start("run", source, "--job", job, *words)
    try:
        wait_until(when, timeout_s=120)
        clock.set(moment)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    return nights.collect(Ended(process.returncode, out, err), nights.receiver.requests)


@pytest.mark.parametrize(
    ("stop", "moment", "expected"),
    [
        ('deadline = "05:30"', BEGIN.replace(hour=5, minute=30, second=1), "The deadline 05:30 MSK has come."),
        (
            'allowed_hours = "22:00-05:30 Europe/Moscow"',
            BEGIN.replace(hour=5, minute=30, second=1),
            "The allowed hours 22:00-05:30 Europe/Moscow are over.",
        ),
    ],
)
def test_run_stopped_by_its_end_time_is_resumed_next_night(nights, sandbox, clock, stop, moment, expected):
    server = sandbox(latency_s=(LONG_S, LONG_S))
    source, job = nights.file("monday"), nights.job(server.url, stop=stop)
    night = ended_at(nights, clock, moment, lambda: len(server.enrolments()) > 1, source, job)
    early = enrolled_once(server)
    night.check_reports(3, expected, "Next: this resumes the run with", left=30 - len(early))
    assert 1 < len(early) < 30
    assert check_results(night, source, server) == set()
    assert night.ended.json["counts"]["success"] == len(early)

    server.control(latency_s=(0, 0))
    clock.set(BEGIN + timedelta(days=1))
    check_all_enrolled(nights.night(source, job), source, server)


@pytest.mark.parametrize(("change_h", "suspended_h", "code"), [(48, 0, 0), (-48, 3, 3), (3, 3, 3)])
def test_deadline_of_a_duration_counts_suspension_and_no_change_of_time(
    nights, sandbox, clock, change_h, suspended_h, code
):
    server = sandbox(latency_s=(LONG_S, LONG_S))
    source, job = nights.file("monday"), nights.job(server.url, stop='deadline = "3h"')
    process = nights.cli.start("run", source, "--job", job)
    wait_until(lambda: len(server.enrolments()) > 1, timeout_s=120)
    clock.set(BEGIN + timedelta(hours=change_h, minutes=1), suspended_s=suspended_h * 3600)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert ("The deadline 05:00 MSK has come." in err) is (code == 3)
    assert (len(enrolled_once(server)) < 30) is (code == 3)


def test_deadline_in_the_past_is_tomorrow(nights, sandbox, clock):
    server = sandbox()
    clock.set(BEGIN.replace(hour=5, minute=31))
    source, job = nights.file("monday"), nights.job(server.url, stop='deadline = "05:30"')
    check_all_enrolled(nights.night(source, job), source, server)


def test_nothing_starts_outside_the_allowed_hours(nights, sandbox, clock):
    server = sandbox(faults="token_revoked@11")
    source = nights.file("monday")
    job = nights.job(server.url, stop='allowed_hours = "22:00-05:30 Europe/Moscow"')
    nights.night(source, job).check_reports(3, "The platform refused the token", left=20)
    server.control(faults="", token_revoked=False)
    clock.set(BEGIN.replace(hour=5, minute=31))
    late = nights.night(source, job)
    late.check_reports(2, "It is 05:31 now, outside the allowed hours 22:00-05:30 Europe/Moscow", state="failed")
    assert len(enrolled_once(server)) == 10
    clock.set(BEGIN.replace(hour=22))
    check_all_enrolled(nights.night(source, job), source, server)


def test_platform_is_down_until_the_deadline(nights, sandbox, clock):
    server = sandbox()
    with NetworkLink(server.url) as line:
        line.refuse(after_starts=0)
        source, job = nights.file("monday"), nights.job(line.url, stop='deadline = "05:30"')
        moment = BEGIN.replace(hour=5, minute=30)
        night = ended_at(nights, clock, moment, lambda: "attempt failed" in nights.log, source, job)
        night.check_reports(3, "The deadline 05:30 MSK has come.", left=night.ended.json["counts"]["not_sent"])
        assert server.received() == {}
        assert night.ended.json["counts"]["success"] == 0
        line.mend()
        check_all_enrolled(nights.night(source, job), source, server)
