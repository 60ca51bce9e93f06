"""The standing limits of a job, as rules over numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batch_enroll.config.job import Job, StopSection
from batch_enroll.config.value_parsers import parse_change, parse_limit
from batch_enroll.errors import JobError
from batch_enroll.models import Delivery, StopCause
from batch_enroll.reporting.earlier_runs_report import RunBaseline
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.plan_limits import (
    SendDeadlines,
    broken_limits,
    check_allowed_hours,
    hours_text,
)
from tests.support.clocks import ManualClock

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOURS = "09:00-20:00 UTC"


def plan(to_send, *, invalid=0, usual=(), carries_on=False):
    return PlanView(
        run_id="1",
        carries_on=carries_on,
        input_name="in.csv",
        rows=to_send + invalid,
        to_send=to_send,
        invalid=invalid,
        url="https://platform.example",
        scenario=3,
        matching="email=email",
        delivery=Delivery.AT_MOST_ONCE,
        rate_per_s=10,
        concurrency=8,
        usual=RunBaseline(any_run=True, to_send=tuple(usual), rows=tuple(usual)),
    )


def job(**stop):
    settings = {"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}}
    return Job.model_validate({**settings, "stop": stop})


@pytest.mark.parametrize(
    ("stop", "shown", "broken"),
    [
        ({}, plan(1_000_000, invalid=5, usual=(10,)), []),
        ({"max_rows": 10}, plan(10), []),
        ({"max_rows": 10}, plan(11), ["max_rows"]),
        ({"max_rows": 10}, plan(11, carries_on=True), ["max_rows"]),
        ({"max_change": "50%"}, plan(9), []),  # without earlier runs nothing is usual
        ({"max_change": "50%"}, plan(150, usual=(100, 90, 110)), []),
        ({"max_change": "50%"}, plan(151, usual=(100, 90, 110)), ["max_change"]),
        ({"max_change": "50%"}, plan(50, usual=(100, 90, 110)), []),
        ({"max_change": "50%"}, plan(49, usual=(100, 90, 110)), ["max_change"]),
        ({"max_change": "50%"}, plan(0, usual=(100, 90, 110)), []),  # nothing leaves, so nothing can go wrong
        ({"max_change": "50%"}, plan(1_000, usual=(100,), carries_on=True), []),
        ({"max_change": "200%"}, plan(300, usual=(100,)), []),
        ({"max_change": "200%"}, plan(301, usual=(100,)), ["max_change"]),
        ({"max_change": "200%"}, plan(1, usual=(100,)), []),
        ({"max_change": "50%"}, plan(100, usual=(1, 100, 5_000)), []),  # the median, not the mean
        ({"max_invalid": 2}, plan(8, invalid=2), []),
        ({"max_invalid": 2}, plan(8, invalid=3), ["max_invalid"]),
        ({"max_invalid": "20%"}, plan(8, invalid=2), []),
        ({"max_invalid": "20%"}, plan(7, invalid=2), ["max_invalid"]),
        ({"max_invalid": "0%"}, plan(7, invalid=1), ["max_invalid"]),
        ({"max_invalid": 0}, plan(7, invalid=1, carries_on=True), []),
        (
            {"max_rows": 1, "max_change": "1%", "max_invalid": 0},
            plan(8, invalid=1, usual=(4,)),
            ["max_rows", "max_change", "max_invalid"],
        ),
    ],
)
def test_plan_is_checked_against_each_limit(stop, shown, broken):
    assert [refusal.limit for refusal in broken_limits(StopSection.model_validate(stop), shown)] == broken


@pytest.mark.parametrize(
    ("max_change", "to_send", "allows", "needed"),
    [("50%", 18_100, "allows 890 to 2,670.", "917%"), ("200%", 18_100, "allows at most 5,340.", "917%")],
)
def test_exceeded_change_names_the_allowed_value_and_the_flag(max_change, to_send, allows, needed):
    usual = (1_880, 1_690, 1_740, 1_850, 1_780)
    (refusal,) = broken_limits(StopSection(max_change=max_change), plan(to_send, usual=usual))
    assert "18,100 rows would be sent; 1,780 are usual" in refusal.message
    assert refusal.message.endswith(allows)
    assert f"`stop.max_change` to {needed} for this run" in refusal.hint
    assert not broken_limits(StopSection(max_change=needed), plan(to_send, usual=usual))


def test_nothing_starts_outside_the_allowed_hours():
    check_allowed_hours(job(), NOON)
    check_allowed_hours(job(allowed_hours=HOURS), NOON)
    with pytest.raises(JobError, match=r"It is 23:00 now, outside the allowed hours 09:00-20:00 UTC"):
        check_allowed_hours(job(allowed_hours=HOURS), NOON + timedelta(hours=11))


@pytest.mark.parametrize(
    ("stop", "after", "reason"),
    [
        ({"allowed_hours": HOURS}, timedelta(hours=8), "The allowed hours 09:00-20:00 UTC are over."),
        ({"allowed_hours": HOURS, "deadline": "1h"}, timedelta(hours=1), "The deadline"),
        ({"allowed_hours": HOURS, "deadline": "10h"}, timedelta(hours=8), "The allowed hours"),
        ({"deadline": "10h"}, timedelta(hours=10), "The deadline"),
    ],
)
def test_sending_ends_at_the_earliest_limit(stop, after, reason):
    clock = ManualClock(NOON)
    deadlines = SendDeadlines(job(**stop), clock)
    clock.moved_s = after.total_seconds() - 1
    assert deadlines.stop_reason() is None
    clock.moved_s += 1
    end = deadlines.stop_reason()
    assert end is not None
    assert str(end).startswith(reason)
    assert end.cause is StopCause.DEADLINE


def test_without_a_deadline_and_hours_sending_has_no_end():
    assert SendDeadlines(job(), ManualClock(NOON)).stop_reason() is None


@pytest.mark.parametrize(
    ("now", "to_send", "said"),
    [
        (NOON, 288_000, "09:00-20:00 UTC"),
        (
            NOON,
            288_001,
            "09:00-20:00 UTC; about 1 row will be left at 20:00; the same command resumes with them",
        ),
        (NOON + timedelta(hours=9), 5, "09:00-20:00 UTC; it is 21:00 there now, so nothing would be sent"),
    ],
)
def test_plan_shows_whether_the_rows_fit_in_the_time(now, to_send, said):
    assert hours_text(job(allowed_hours=HOURS), now, to_send=to_send) == said


def test_plan_without_hours_does_not_mention_them():
    assert not hours_text(job(), NOON, to_send=5)


@pytest.mark.parametrize("text", ["many", "-1", "0.5", "101%", "20 percent", True])
def test_limit_is_whole_rows_or_a_share(text):
    with pytest.raises(ValueError, match="neither a number of rows nor a share"):
        parse_limit(text)


@pytest.mark.parametrize("text", ["3x", "50", "0%", "-5%", True])
def test_change_is_a_share(text):
    with pytest.raises(ValueError, match="is not a change; write a share"):
        parse_change(text)


@pytest.mark.parametrize(("text", "kept"), [("50%", "50%"), (" 200 % ", "200%"), ("12.5%", "12.5%"), (None, None)])
def test_change_is_stored_in_one_form(text, kept):
    assert parse_change(text) == kept
