"""Fault 22: hundreds of runs in virtual time, each seed another mixture of faults, stops and kills."""

from __future__ import annotations

import pytest

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.ledger.records import RowState
from batch_enroll.ledger.sqlite import run_directory
from batch_enroll.sending import Client
from tests.proof.simulation import simulate

SEEDS = 300
AT_ONCE = 50
ENOUGH_TO_FAIL = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_seed_loses_or_duplicates_a_row(quick_path, first):
    stories = [simulate(seed, quick_path / str(seed)) for seed in range(first, first + AT_ONCE)]
    for story in stories:
        assert story.verdict.holds, story
    assert sum(story.deaths for story in stories) > AT_ONCE / 2
    assert sum(story.verdict.unknown for story in stories) > AT_ONCE


def test_simulation_is_deterministic(quick_path):
    for seed in range(5):
        first, second = (simulate(seed, quick_path / f"{seed}-{time}") for time in ("first", "second"))
        assert str(first) == str(second)


def duplicated(quick_path):
    return sum(simulate(seed, quick_path / str(seed)).verdict.duplicated for seed in range(ENOUGH_TO_FAIL))


def test_requeue_of_intents_is_found(quick_path, monkeypatch):
    def requeue(connection, _):
        connection.execute(f"UPDATE row SET state = {RowState.PLANNED:d} WHERE state = {RowState.INTENT:d}")
        return [0]

    monkeypatch.setattr(run_directory, "recover", requeue)
    assert duplicated(quick_path) > 0


def test_resend_after_read_error_is_found(quick_path, monkeypatch):
    start = Client.start_workflow

    async def started(self, body, flight=None):
        try:
            return await start(self, body, flight)
        except Ambiguous as doubt:
            raise Retryable(doubt.code, doubt.content) from doubt

    monkeypatch.setattr(Client, "start_workflow", started)
    assert duplicated(quick_path) > 0
