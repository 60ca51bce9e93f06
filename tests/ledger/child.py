"""A process that works on a run and is killed at a named point, for `test_killed_process` and `test_two_processes`.

Usage: child.py FOLDER POINT N. Prints one line for each thing that the ledger confirmed, unbuffered, so that a kill
loses none of them. The points are wrapped around the ledger's functions from here; the ledger knows none of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.records import Pending, RunState
from batch_enroll.ledger.sqlite import plan_queries, row_queries, run_index
from batch_enroll.ledger.sqlite.run_directory import RunFiles
from batch_enroll.models import Outcome, RowStatus
from tests.ledger.building import NOON, SKIP, make_record, make_rows, record_intent, record_outcome
from tests.support.ledgers import sqlite_ledger

ROWS = 60
IN_FLIGHT = 8


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def kill_at(holder: Any, name: str, nth: int, *, before: bool = False) -> None:
    """Make the n-th call of a function the last thing that this process does."""
    function: Callable[..., Any] = getattr(holder, name)
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if before and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, wrapped)


def kill_after_saying(word: str, nth: int) -> None:
    """Die right after the n-th confirmation of a kind was passed on."""
    global say
    plain, said = say, 0

    def wrapped(text: str) -> None:
        nonlocal said
        plain(text)
        said += text.startswith(word)
        if said == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    say = wrapped


POINTS: dict[str, Callable[[int], None]] = {
    "in the plan": lambda nth: kill_at(plan_queries, "add_rows", nth),
    "after the plan": lambda nth: kill_at(plan_queries, "finish_planning", nth),
    "before the plan is on disk": lambda nth: kill_at(RunFiles, "make_durable", nth, before=True),
    "before the index knows of the plan": lambda nth: kill_at(RunFiles, "open", nth),
    "before an intent": lambda nth: kill_at(row_queries, "record_intent", nth, before=True),
    "in an intent's transaction": lambda nth: kill_at(row_queries, "record_intent", nth),
    "after an intent": lambda nth: kill_after_saying("intent", nth),
    "before an outcome": lambda nth: kill_at(row_queries, "record_outcome", nth, before=True),
    "in an outcome's transaction": lambda nth: kill_at(row_queries, "record_outcome", nth),
    "after an outcome": lambda nth: kill_after_saying("outcome", nth),
    "before the merge": lambda nth: kill_at(run_index.RunIndex, "merge", nth, before=True),
    "after the merge": lambda nth: kill_at(run_index.RunIndex, "merge", nth),
    "at the end": lambda _: None,
    "waits": lambda _: None,
}


async def main(folder: Path, point: str, nth: int) -> None:
    POINTS[point](nth)
    ledger = sqlite_ledger(folder)
    await ledger.salt()
    run = await ledger.create(make_record())
    for first in range(1, ROWS + 1, 10):
        await run.plan(make_rows([f"p{n}" for n in range(first, first + 10)], first=first))
    await run.mark_duplicates(SKIP)
    await run.finish_planning(rows=ROWS)
    say("sealed")
    if point == "waits":
        await record_intent(run, 1, at=NOON)
        say(f"ready {os.getpid()}")
        await anyio.sleep(60)
    pending = iter(await run.pending(after_seq=0, limit=ROWS))
    async with anyio.create_task_group() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.start_soon(work, run, pending)
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    say("closed")


async def work(run: RunLedger, pending: Any) -> None:
    row: Pending
    for row in pending:
        await record_intent(run, row.seq, at=NOON)
        say(f"intent {row.seq}")
        await record_outcome(run, Outcome(seq=row.seq, status=RowStatus.SUCCESS, http_status=200))
        say(f"outcome {row.seq}")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
