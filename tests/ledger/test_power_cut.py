"""The power fails: what the ledger confirmed is on the disk, whatever the disk had not been told to keep."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.records import RowState
from batch_enroll.ledger.sqlite import connection
from batch_enroll.models import Outcome, RowStatus
from tests.ledger.building import NOON, open_run, record_intent, record_outcome
from tests.ledger.crash_vfs import Connection, Disk, RecordingVFS
from tests.support.ledgers import sqlite_ledger

ROWS = 1000  # long enough for a checkpoint in the middle
IMAGES = 2000 if "LONG_TESTS" in os.environ else 250


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def lost_by_power_cuts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Send a run on a recorded disk; count the images that lost something confirmed, and those that are damaged."""
    ledger = sqlite_ledger(folder)
    run = await open_run(ledger, [f"p{n}" for n in range(ROWS)])
    await run.close_unchanged()
    file = run.folder / "run.sqlite"
    base = {file.name: file.read_bytes()}
    disk = Disk()
    vfs = RecordingVFS(f"recording {folder}", disk)
    plain = sqlite3.connect

    def connect(name: str, /, **options: Any) -> Any:
        recorded = "run.sqlite?mode=rwc" in name
        return Connection(name, f"recording {folder}") if recorded else plain(name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        run = await ledger.open("run-1", read_only=False)
        await send_all(run, disk)
        await run.close_unchanged()
    vfs.unregister()
    lost = damaged = 0
    for image, confirmed in disk.images(base, IMAGES, seed=1):
        states = states_after_restart(folder / "image", image)
        damaged += states is None
        lost += states is not None and not all(is_kept(states, *one) for one in confirmed)
    return lost, damaged


async def send_all(run: RunLedger, disk: Disk) -> None:
    pending = iter(await run.pending(after_seq=0, limit=ROWS))

    async def work() -> None:
        for row in pending:
            await record_intent(run, row.seq, at=NOON)
            disk.note("intent", row.seq)
            await record_outcome(run, Outcome(seq=row.seq, status=RowStatus.SUCCESS))
            disk.note("outcome", row.seq)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(work)


def states_after_restart(folder: Path, image: dict[str, bytes]) -> dict[int, RowState] | None:
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
    opened = sqlite3.connect(folder / "run.sqlite")
    try:
        if opened.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return None
        return {seq: RowState(state) for seq, state in opened.execute("SELECT seq, state FROM row")}
    except sqlite3.DatabaseError:
        return None
    finally:
        opened.close()


def is_kept(states: dict[int, RowState], what: str, seq: int) -> bool:
    if what == "outcome":
        return states[seq] is RowState.SUCCESS
    return states[seq] in (RowState.INTENT, RowState.SUCCESS)


async def test_power_cut_keeps_all_confirmed_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert await lost_by_power_cuts(tmp_path, monkeypatch) == (0, 0)


async def test_negative_control_power_cut_without_full_sync_loses_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def normal(opened: sqlite3.Connection, *_: Any) -> None:
        opened.execute("PRAGMA synchronous = NORMAL")

    monkeypatch.setattr(connection, "_synchronous", normal)

    lost, _ = await lost_by_power_cuts(tmp_path, monkeypatch)

    assert lost > IMAGES / 10


async def test_sqlite_without_full_sync_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = sqlite3.connect

    class Deaf(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            return super().execute(statement.replace("synchronous = FULL", "synchronous = NORMAL"), *values)

    monkeypatch.setattr(sqlite3, "connect", lambda name, /, **options: plain(name, factory=Deaf, **options))

    with pytest.raises(LedgerError, match="does not sync"):
        await open_run(sqlite_ledger(tmp_path), ["ann"])
