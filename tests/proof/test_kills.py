"""Faults 1 and 2: kill -9 at each named point, and at random among faults of the platform."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from tests.proof.harness import KILLED, leads, mixed_faults, random_strikes

BEFORE_SENDING = [
    *(f"{when}:{point}:1" for point in ("create", "plan", "mark", "stage", "seal") for when in ("before", "after"))
]
AT_THE_END = [*(f"{when}:{point}:1" for point in ("results", "summary", "close") for when in ("before", "after"))]

# The point, and what the row at hand is after it: still to send, in doubt, or done.
ROW_POINTS = [
    ("before:intend", "to send"),
    ("after:intend", "in doubt"),
    ("before:send", "in doubt"),
    ("during:send", "in doubt"),
    ("after:send", "in doubt"),
    ("before:settle", "in doubt"),
    ("after:settle", "done"),
]


def test_killed_at_each_point_of_the_plan_nothing_was_sent(trial):
    the = trial(leads(60))
    for point in BEFORE_SENDING:
        assert the.once("--kill", point).code == KILLED, point
        assert the.arrived() == 0, point
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert (verdict.statuses, the.kills) == ({"success": 60}, len(BEFORE_SENDING))


@pytest.mark.parametrize("nth", [1, 7])
def test_killed_at_each_point_of_a_row_only_that_row_is_in_doubt(trial, nth):
    the = trial(leads(120), concurrency=1, latency_s=0.1 if nth == 1 else 0.0)
    for point, _ in ROW_POINTS:
        if point == "during:send" and nth > 1:
            continue  # needs an answer that is on its way for a while
        assert the.once("--kill", f"{point}:{nth}").code == KILLED, point
    the.sandbox.control(latency_s=0)
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    in_doubt = sum(state == "in doubt" for point, state in ROW_POINTS if nth == 1 or point != "during:send")
    assert verdict.unknown == in_doubt, verdict


@pytest.mark.parametrize("nth", [3, 40])
def test_killed_at_each_point_with_many_in_flight(trial, nth):
    the = trial(leads(800), concurrency=16)
    for point, _ in ROW_POINTS:
        if point != "during:send":
            assert the.once("--kill", f"{point}:{nth}").code == KILLED, point
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict


def test_killed_around_a_release_the_row_is_sent_again_or_in_doubt_but_never_both(trial):
    the = trial(leads(20), concurrency=1, faults="http_429@3,http_429@9")
    assert the.once("--kill", "before:release:1").code == KILLED
    assert the.once("--kill", "after:release:1").code == KILLED
    the.until_finished()
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 19, "unknown": 1}


def test_killed_at_each_point_of_the_end_nothing_is_lost_and_nothing_sent_again(trial):
    the = trial(leads(30))
    for point in AT_THE_END:
        ended = the.once("--kill", point)
        assert ended.code == KILLED, f"{point}: {ended}"
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert verdict.statuses == {"success": 30}


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_among_faults_nobody_is_sent_twice_and_nobody_lost(trial, seed):
    luck = random.Random(seed)
    the = trial(
        leads(450, luck),
        faults=mixed_faults(throttled=0.004),
        latency_s=(0.0, 0.04),
        flags=("--timeout", 2),
    )
    the.until_finished(strikes=islice(random_strikes(luck, per_strike=20), 14))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert the.kills >= 10, the.codes
    assert verdict.rows == 450
