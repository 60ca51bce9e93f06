"""Faults 1 and 2: kill -9 at each named point, and at random among faults of the platform."""

from __future__ import annotations

import random
from itertools import islice

from tests.proof.harness import KILLED
from tests.proof.inputs import leads, mixed_faults
from tests.proof.interruptions import (
    ROW_POINTS,
    kill_at,
    random_strikes,
)

# What lies after one of these points lies before the next.
OF_THE_PLAN = ("before:create", "before:plan", "before:mark", "before:stage", "before:seal", "after:seal")
OF_THE_END = ("before:results", "before:summary", "before:close", "after:close")
IN_DOUBT = {"after:intend", "before:send", "during:send", "after:send", "before:settle"}


def test_kill_during_planning_sends_nothing(trial):
    the = trial(leads(60))
    for point in OF_THE_PLAN:
        assert the.once(strike=kill_at(point)).code == KILLED, point
        assert the.arrived() == 0, point
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert (verdict.statuses, the.kills) == ({"success": 60}, len(OF_THE_PLAN))


def test_kill_leaves_at_most_one_row_unknown(trial):
    the = trial(leads(80), concurrency=1)
    for nth, point in enumerate(ROW_POINTS, start=1):
        assert the.once(strike=kill_at(point, nth)).code == KILLED, point
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.unknown == len(IN_DOUBT & set(ROW_POINTS))


def test_kill_before_the_answer_leaves_an_enrolled_unknown(trial):
    the = trial(leads(10), concurrency=1, latency_s=0.2)
    assert the.once(strike=kill_at("during:send")).code == KILLED
    the.sandbox.control(latency_s=0)
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"unknown": 1, "success": 9}
    assert sum(the.sandbox.enrolments().values()) == 10


def test_kill_with_many_requests_in_flight(trial):
    the = trial(leads(500), concurrency=16)
    for nth, point in enumerate(ROW_POINTS, start=20):
        assert the.once(strike=kill_at(point, nth)).code == KILLED, point
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict


def test_kill_around_a_release_sends_again_or_is_unknown(trial):
    the = trial(leads(20), concurrency=1, faults="http_429@3,http_429@9")
    assert the.once(strike=kill_at("before:release")).code == KILLED
    assert the.once(strike=kill_at("after:release")).code == KILLED
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 19, "unknown": 1}


def test_kill_during_the_end_of_a_run_loses_nothing(trial):
    the = trial(leads(30))
    for point in OF_THE_END:
        ended = the.once(strike=kill_at(point))
        assert ended.code == KILLED, f"{point}: {ended}"
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 30}


def test_random_kills_among_faults(trial):
    luck = random.Random(1)
    the = trial(
        leads(450, luck),
        faults=mixed_faults(throttled=0.004),
        latency_s=(0.0, 0.02),
        flags=("--timeout", 1),
    )
    the.until_finished(strikes=islice(random_strikes(luck, per_strike=20), 14))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert the.kills >= 10, the.codes
    assert verdict.rows == 450
