"""Negative controls: each breaks one rule of the package on purpose, and the check must find it.

A harness that cannot fail proves nothing.
"""

from __future__ import annotations

import signal

from tests.proof.harness import KILLED, started, watch
from tests.proof.inputs import leads
from tests.proof.strikes import kill_at

DROPS = "drop_after_acting=0.2"


def test_sending_again_after_a_read_error_enrolls_people_twice(trial):
    the = trial(leads(60), faults=DROPS)
    the.until_finished("--sabotage", "resend-what-is-in-doubt")
    assert the.verdict(is_finished=False).duplicated > 0


def test_sending_again_what_a_dead_run_had_in_flight_enrolls_people_twice(trial):
    the = trial(leads(60))
    for _ in range(2):
        assert the.once("--sabotage", "resend-on-expiry", strike=kill_at("after:send", 15)).code == KILLED
    the.until_finished("--sabotage", "resend-on-expiry")
    assert the.verdict(is_finished=False).duplicated > 0


def test_an_intent_that_comes_late_enrolls_people_twice(trial):
    the = trial(leads(60))
    for _ in range(2):
        assert the.once("--sabotage", "intend-afterwards", strike=kill_at("after:send", 15)).code == KILLED
    the.until_finished("--sabotage", "intend-afterwards")
    assert the.verdict(is_finished=False).duplicated > 0


def test_two_processes_without_lock_and_compare_and_set_enroll_people_twice(trial):
    the = trial(leads(60), concurrency=4, latency_s=0.05)
    _two_at_once(the, "--sabotage", "lock-nothing", "--sabotage", "compare-nothing")
    the.until_finished()
    assert the.verdict(is_finished=False).duplicated > 0


def test_without_the_lock_compare_and_set_alone_keeps_everybody_from_being_sent_twice(trial):
    the = trial(leads(60), concurrency=4, latency_s=0.05)
    _two_at_once(the, "--sabotage", "lock-nothing")
    the.cuts += 2  # each may abandon what the other took for dead
    the.until_finished()
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict


def test_a_success_noted_without_sending_is_found_as_lost(trial):
    the = trial(leads(30))
    the.until_finished("--sabotage", "say-sent-unsent")
    verdict = the.verdict(is_finished=False)
    assert (verdict.lost, verdict.duplicated) == (6, 0), verdict


def test_a_refusal_noted_for_an_accepted_row_is_found_as_misreported(trial):
    the = trial(leads(30))
    the.until_finished("--sabotage", "say-refused-accepted")
    verdict = the.verdict(is_finished=False)
    assert (verdict.misreported, verdict.lost) == (6, 0), verdict


def test_without_a_look_for_duplicates_people_are_enrolled_twice(trial):
    the = trial([*leads(10), *leads(10)])
    the.until_finished("--sabotage", "miss-duplicates")
    assert the.verdict(is_finished=False).duplicated == 10


def _two_at_once(the, *words):
    """Let a second process begin while the first sleeps in the middle, then let both go on to their ends."""
    with started(the.start(*words)) as first:
        watch(first, until=lambda: the.arrived() >= 8)
        first.send_signal(signal.SIGSTOP)
        sent = the.arrived()
        with started(the.start(*words)) as second:
            watch(second, until=lambda: the.arrived() >= sent + 8)
            first.send_signal(signal.SIGCONT)
            the.end(second)
        the.end(first)
