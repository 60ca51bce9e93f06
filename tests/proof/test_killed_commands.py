"""kill -9 in the commands around a run: canary, retry, resolve, report and prune."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.proof.harness import FINISHED, KILLED, REFUSED, Strike
from tests.proof.inputs import leads
from tests.proof.interruptions import kill_after_requests, kill_after_seconds

KILLS = 50 if "LONG_TESTS" in os.environ else 3
LONGEST_S = 0.6  #: about what a command takes
MOST_STARTS = 12 * KILLS
PEOPLE = 40


def moments(seed: int) -> Iterator[Strike]:
    luck = random.Random(seed)
    while True:
        yield kill_after_seconds(luck.uniform(0.05, LONGEST_S))


def kill_until_enough(trial, command, *, before=lambda: None, done=(0,)):
    """Give a command, killed at any moment, until it was killed often enough; then to its end."""
    killed = 0
    for _, strike in zip(range(MOST_STARTS), moments(len(command)), strict=False):
        before()
        ended = trial.other(*command, strike=strike)
        killed += ended.code == KILLED
        assert ended.code in (KILLED, *done), ended
        if killed >= KILLS:
            break
    assert killed >= KILLS
    before()
    ended = trial.other(*command)
    assert ended.code in done, ended


def check(trial):
    verdict = trial.verdict()
    assert verdict.holds, verdict
    return verdict


def test_kills_in_the_canary(trial):
    luck = random.Random(11)
    rows = leads(15 * KILLS + PEOPLE)
    the = trial(rows, concurrency=4, flags=("--canary", len(rows) - 10, "--yes"), latency_s=0.005)
    strikes = [kill_after_requests(luck.randint(1, 5)) for _ in range(KILLS + KILLS // 5)]
    the.until_finished(strikes=strikes)
    check(the)
    assert the.kills >= KILLS


def test_kills_in_a_retry(trial):
    rows = [*leads(PEOPLE), *((f"nobody{n}@example.com", "Nobody") for n in range(PEOPLE))]
    the = trial(rows, concurrency=4, latency_s=0.005)
    the.until_finished()
    command = ("retry", the.run_id, "--errors", "--rate", "none", "--yes", "--quiet", "--token-file", "token")
    (the.folder / "token").write_text(the.sandbox.token)
    (the.folder / "token").chmod(0o600)
    kill_until_enough(the, command, done=(*FINISHED, 3))
    the.other("resume", the.run_id, "--rate", "none", "--yes", "--quiet")
    the.other("report", the.run_id, "--results", the.results)
    statuses = check(the).statuses
    assert statuses["success"] == PEOPLE
    assert statuses.keys() <= {"success", "error", "unknown"}


def test_kills_in_resolve(trial):
    the = trial(leads(PEOPLE), concurrency=4, faults="drop_after_acting@5,drop_after_acting@9,drop_after_acting@14")
    the.until_finished()
    command = ("resolve", the.run_id, "--rows", "all", "--verdict", "enrolled", "--why", "seen there")
    kill_until_enough(the, command, done=(0, REFUSED))
    the.other("report", the.run_id, "--results", the.results)
    assert check(the).statuses == {"success": PEOPLE}


def test_kills_in_report(trial):
    the = trial(leads(PEOPLE), concurrency=4)
    the.until_finished()
    whole = the.results.read_bytes()
    kill_until_enough(the, ("report", the.run_id, "--results", the.results))
    assert the.results.read_bytes() == whole
    assert check(the).statuses == {"success": PEOPLE}


@pytest.mark.parametrize("forget", [False, True], ids=["rows", "run"])
def test_kills_in_prune(trial, forget):
    the = trial(leads(PEOPLE), concurrency=4)
    the.until_finished()
    sent = the.arrived()
    command = ("prune", "--older-than", "0s", "--yes", *(("--forget",) if forget else ()))
    kill_until_enough(the, command)
    again = the.once()
    if forget:  # as its flag says
        assert (again.code, the.arrived()) == (0, 2 * sent)
    else:
        assert (again.code, the.arrived()) == (REFUSED, sent)
