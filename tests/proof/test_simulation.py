"""Fault 22: hundreds of whole runs in virtual time, each seed another mixture of faults, stops and deaths."""

from __future__ import annotations

import pytest

from batch_enroll.ledger.interface import RowState
from batch_enroll.sending.client import Client
from batch_enroll.errors import Ambiguous, Retryable
from tests.proof.simulation import SlowLedger, simulate

SEEDS = 300
AT_ONCE = 25


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_the_seed_nobody_is_sent_twice_and_nobody_lost(tmp_path, first):
    deaths = 0
    for seed in range(first, first + AT_ONCE):
        story = simulate(seed, tmp_path / str(seed))
        assert story.verdict is not None
        assert story.verdict.holds, story
        deaths += story.deaths
    assert deaths > AT_ONCE / 2
