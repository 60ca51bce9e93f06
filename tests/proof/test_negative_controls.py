"""Negative controls: each breaks one rule of the package on purpose, and the check must find it."""

from __future__ import annotations

import signal

from tests.proof.harness import KILLED, started, watch
from tests.proof.inputs import leads
from tests.proof.interruptions import kill_at

DROPS = "drop_after_acting=0.2"


def test_resend_after_read_error_enrolls_twice(trial):
    the = trial(leads(60), faults=DROPS)
    the.until_finished("--sabotage", "resend-ambiguous")
    assert the.verdict(is_finished=False).duplicated > 0


def test_requeue_of_intents_enrolls_twice(trial):
    the = trial(leads(60))
    for _ in range(2):
        assert the.once("--sabotage", "resend-on-expiry", strike=kill_at("after:send", 15)).code == KILLED
    the.until_finished("--sabotage", "resend-on-expiry")
    assert the.verdict(is_finished=False).duplicated > 0


def test_late_intent_enrolls_twice(trial):
    the = trial(leads(60))
    for _ in range(2):
        assert the.once("--sabotage", "intend-afterwards", strike=kill_at("after:send", 15)).code == KILLED
    the.until_finished("--sabotage", "intend-afterwards")
    assert the.verdict(is_finished=False).duplicated > 0


def test_no_lock_and_no_compare_and_set_enrolls_twice(trial):
    the = trial(leads(60), concurrency=4, latency_s=0.05)
    _two_at_once(the, "--sabotage", "lock-nothing", "--sabotage", "compare-nothing")
    the.until_finished()
    assert the.verdict(is_finished=False).duplicated > 0


def test_compare_and_set_alone_prevents_double_sends(trial):
    the = trial(leads(60), concurrency=4, latency_s=0.05)
    _two_at_once(the, "--sabotage", "lock-nothing")
    the.cuts += 2  # each may abandon what the other took for dead
    the.until_finished()
    verdict = the.verdict(is_finished=False)
    assert verdict.holds, verdict


def test_success_without_sending_is_found_as_lost(trial):
    the = trial(leads(30))
    the.until_finished("--sabotage", "say-sent-unsent")
    verdict = the.verdict(is_finished=False)
    assert (verdict.lost, verdict.duplicated) == (6, 0), verdict


def test_false_refusal_is_found_as_misreported(trial):
    the = trial(leads(30))
    the.until_finished("--sabotage", "say-refused-accepted")
    verdict = the.verdict(is_finished=False)
    assert (verdict.misreported, verdict.lost) == (6, 0), verdict


def test_missing_duplicate_check_enrolls_twice(trial):
    the = trial([*leads(10), *leads(10)])
    the.until_finished("--sabotage", "miss-duplicates")
    assert the.verdict(is_finished=False).duplicated == 10


def _two_at_once(the, *words):
    """Let a second process begin while the first sleeps in the middle, then let both continue to their ends."""
    with started(the.start(*words)) as first:
        watch(first, until=lambda: the.arrived() >= 8)
        first.send_signal(signal.SIGSTOP)
        sent = the.arrived()
        with started(the.start(*words)) as second:
            watch(second, until=lambda: the.arrived() >= sent + 8)
            first.send_signal(signal.SIGCONT)
            the.end(second)
        the.end(first)
