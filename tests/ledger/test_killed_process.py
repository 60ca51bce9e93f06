"""kill -9 at every named point: nothing that was confirmed is lost, and what was in flight is unknown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batch_enroll.ledger.records import RunState
from batch_enroll.models import RowStatus
from tests.ledger import child
from tests.ledger.building import make_record, open_run, statuses
from tests.support.ledgers import sqlite_ledger

LONG = "LONG_TESTS" in os.environ
PASSES = range(1, 9) if LONG else (1, 3)  # 60 rows, 8 in flight: no point is passed less than 8 times
ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def start(folder: Path, point: str, nth: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.child", str(folder), point, str(nth)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_at(folder: Path, point: str, nth: int) -> list[str]:
    """Let a child work until it dies at the point; give what it was told by the ledger."""
    with start(folder, point, nth) as process:
        assert process.stdout
        said = process.stdout.read().splitlines()
    assert process.returncode == -signal.SIGKILL
    return said


def numbers(said: list[str], word: str) -> set[int]:
    return {int(line.split()[1]) for line in said if line.startswith(word)}


IN_THE_PLAN = [
    ("in the plan", 1),
    ("in the plan", 3),
    ("after the plan", 1),
    ("before the plan is on disk", 1),
    ("before the index knows of the plan", 1),
]
WHILE_SENDING = [
    "before an intent",
    "in an intent's transaction",
    "after an intent",
    "before an outcome",
    "in an outcome's transaction",
    "after an outcome",
]


@pytest.mark.parametrize(("point", "nth"), IN_THE_PLAN)
async def test_killed_plan_is_made_again(tmp_path: Path, point: str, nth: int):
    assert kill_at(tmp_path, point, nth) == []

    ledger = sqlite_ledger(tmp_path)
    assert [record.state for record in await ledger.runs()] == [RunState.PLANNING]
    run = await open_run(ledger, ["ann", "bob"])
    assert await statuses(run) == [RowStatus.NOT_SENT] * 2
    await run.close_unchanged()


@pytest.mark.parametrize("nth", PASSES)
@pytest.mark.parametrize("point", WHILE_SENDING)
async def test_killed_run_keeps_all_confirmed_outcomes(tmp_path: Path, point: str, nth: int):
    said = kill_at(tmp_path, point, nth)
    intents, outcomes = numbers(said, "intent"), numbers(said, "outcome")

    run = await sqlite_ledger(tmp_path).open("run-1", read_only=False)
    status_of = dict(enumerate(await statuses(run), start=1))

    assert len(status_of) == child.ROWS
    assert {status_of[seq] for seq in outcomes} <= {RowStatus.SUCCESS}
    assert {status_of[seq] for seq in intents} <= {RowStatus.SUCCESS, RowStatus.UNKNOWN}
    unknown = {seq for seq, status in status_of.items() if status is RowStatus.UNKNOWN}
    assert await run.recover() == len(unknown) <= child.IN_FLIGHT
    untouched = {row.seq for row in await run.pending(after_seq=0, limit=child.ROWS)}
    assert not untouched & intents
    await run.close_unchanged()


@pytest.mark.parametrize("point", ["before the merge", "after the merge"])
async def test_next_plan_knows_the_rows_of_a_killed_run(tmp_path: Path, point: str):
    said = kill_at(tmp_path, point, 1)
    assert len(numbers(said, "outcome")) == child.ROWS
    ledger = sqlite_ledger(tmp_path)
    (old,) = await ledger.runs()
    assert old.state is RunState.OPEN

    run = await open_run(ledger, ["p1", "stranger", "p60"], record=make_record("new"))

    assert await statuses(run) == [RowStatus.SKIPPED, RowStatus.NOT_SENT, RowStatus.SKIPPED]
    await run.close_unchanged()
