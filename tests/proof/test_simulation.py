"""Fault 22: hundreds of whole runs in virtual time, each seed another mixture of faults, stops and deaths."""

from __future__ import annotations

import pytest

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.ledger.interface import RowState
from batch_enroll.ledger.memory import MemoryRunLedger
from batch_enroll.sending import Client
from tests.proof.simulation import simulate

SEEDS = 300
AT_ONCE = 50
ENOUGH_TO_FAIL = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whatever_the_seed_nobody_is_sent_twice_and_nobody_lost(tmp_path, first):
    stories = [simulate(seed, tmp_path / str(seed)) for seed in range(first, first + AT_ONCE)]
    for story in stories:
        assert story.verdict.holds, story
    assert sum(story.deaths for story in stories) > AT_ONCE / 2
    assert sum(story.verdict.unknown for story in stories) > AT_ONCE


def test_a_seed_tells_the_same_story_every_time(tmp_path):
    for seed in range(5):
        first, second = (simulate(seed, tmp_path / f"{seed}-{time}") for time in ("first", "second"))
        assert str(first) == str(second)


def duplicated(tmp_path):
    return sum(simulate(seed, tmp_path / str(seed)).verdict.duplicated for seed in range(ENOUGH_TO_FAIL))


def test_sending_again_what_a_dead_run_had_in_flight_is_found(tmp_path, monkeypatch):
    async def requeue(self):
        mine = self._writable()
        mine.states = mine.states.replace(bytes([RowState.INTENT]), bytes([RowState.PLANNED]))
        return 0

    monkeypatch.setattr(MemoryRunLedger, "recover", requeue)
    assert duplicated(tmp_path) > 0


def test_sending_again_after_a_read_error_is_found(tmp_path, monkeypatch):
    start = Client.start

    async def started(self, body, flight=None):
        try:
            return await start(self, body, flight)
        except Ambiguous as doubt:
            raise Retryable(doubt.code, doubt.message) from doubt

    monkeypatch.setattr(Client, "start", started)
    assert duplicated(tmp_path) > 0
