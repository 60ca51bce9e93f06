"""Two processes and one run: who may write, who may read, and what is left when one of them dies."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_enroll.errors import RunLocked
from batch_enroll.models import RowStatus
from tests.ledger.building import make_record, statuses
from tests.ledger.test_killed_process import start
from tests.support.ledgers import sqlite_ledger


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[int]:
    """The pid of another process that has sent row 1 of run-1 and waits for the answer."""
    with start(tmp_path, "waits", 0) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("ready"):
                break
        yield process.pid
        process.kill()
        process.wait()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def test_second_process_gets_the_owner_of_the_run(tmp_path: Path, other: int):
    ledger = sqlite_ledger(tmp_path)

    for attempt in (ledger.open("run-1", read_only=False), ledger.create(make_record())):
        with pytest.raises(RunLocked) as refused:
            await attempt
        assert f"process {other} on {socket.gethostname()}" in str(refused.value)


async def test_same_input_is_not_planned_twice_at_once(tmp_path: Path, other: int):
    same = make_record("run-2", identity=make_record().identity)

    with pytest.raises(RunLocked, match=f"process {other} "):
        await sqlite_ledger(tmp_path).create(same)


async def test_lock_of_a_dead_process_is_free_at_once(tmp_path: Path, other: int):
    kill(other)

    run = await sqlite_ledger(tmp_path).open("run-1", read_only=False)

    assert await run.recover() == 1
    await run.close_unchanged()


async def test_run_is_readable_while_another_process_sends(tmp_path: Path, other: int):
    ledger = sqlite_ledger(tmp_path)

    reader = await ledger.open("run-1", read_only=True)

    counts = await reader.counts()
    assert (counts.unknown, counts.rows) == (1, reader.record.rows)
    assert (await statuses(reader))[0] is RowStatus.UNKNOWN
    await reader.close_unchanged()
    with pytest.raises(RunLocked):  # reading has not taken the lock away
        await ledger.open("run-1", read_only=False)


async def test_killed_run_is_readable_before_recovery(tmp_path: Path, other: int):
    kill(other)

    reader = await sqlite_ledger(tmp_path).open("run-1", read_only=True)

    (first,) = await reader.outcomes(after_seq=0, limit=1)
    assert (first.status, first.code) == (RowStatus.UNKNOWN, "in_flight")
    await reader.close_unchanged()
