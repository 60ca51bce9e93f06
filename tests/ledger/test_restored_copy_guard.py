"""An older ledger put back would send rows again: it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import RunState
from batch_enroll.models import RowStatus
from tests.ledger.building import NOON, die, make_record, open_run, send, statuses
from tests.support.ledgers import sqlite_ledger

OLDER = "older than the one that was used here last"  #: the list of all runs
OLDER_RUN = r"ends at commit \d+, and \d+ was seen: it is an older copy"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def put_back(copy: Path, place: Path) -> None:
    shutil.rmtree(place)
    shutil.copytree(copy, place)


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("read_only", [False, True])
async def test_run_file_from_before_the_last_open_is_refused(tmp_path: Path, dies: bool, read_only: bool):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann", "bob"])
    await run.close_unchanged()
    shutil.copytree(run.folder, tmp_path / "copy")
    run = await ledger.open("run-1", read_only=False)
    await send(run, 1, RowStatus.SUCCESS)
    await (die(run) if dies else run.close_unchanged())

    put_back(tmp_path / "copy", run.folder)

    with pytest.raises(LedgerError, match=OLDER_RUN) as refused:
        await ledger.open("run-1", read_only=read_only)
    assert "resolve run-1 --write-off" in refused.value.hint


async def test_copy_made_during_the_run_is_refused(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, RowStatus.SUCCESS)
    shutil.copytree(run.folder, tmp_path / "copy")
    await send(run, 2, RowStatus.SUCCESS)
    await run.close_unchanged()

    put_back(tmp_path / "copy", run.folder)

    with pytest.raises(LedgerError, match=OLDER_RUN):
        await ledger.open("run-1", read_only=False)


async def test_copy_is_refused_after_a_crash_in_a_long_run(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, [f"p{n}" for n in range(100)])
    await send(run, 1, RowStatus.SUCCESS)
    shutil.copytree(run.folder, tmp_path / "copy")
    for seq in range(2, 101):
        await send(run, seq, RowStatus.SUCCESS)
    await die(run)

    put_back(tmp_path / "copy", run.folder)

    with pytest.raises(LedgerError, match=OLDER_RUN):
        await ledger.open("run-1", read_only=False)


async def test_leftover_write_ahead_log_is_detected(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann"])
    await run.close_unchanged()
    shutil.copy(run.folder / "run.sqlite", tmp_path / "copy.sqlite")  # without its log, as backups do
    run = await ledger.open("run-1", read_only=False)
    await send(run, 1, RowStatus.SUCCESS)
    await run.close_unchanged()

    shutil.copy(tmp_path / "copy.sqlite", run.folder / "run.sqlite")

    with pytest.raises(LedgerError, match=OLDER_RUN):
        await ledger.open("run-1", read_only=False)


async def test_ledger_copy_from_before_the_last_run_is_refused(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    await (await open_run(ledger, ["ann"])).close_unchanged()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    run = await open_run(ledger, ["bob"], record=make_record("run-2"))
    await send(run, 1, RowStatus.SUCCESS)
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)

    put_back(tmp_path / "copy", tmp_path / "data")

    with pytest.raises(LedgerError, match=OLDER):
        await ledger.find(["identity of run-2"])
    with pytest.raises(LedgerError, match=OLDER):
        await ledger.create(make_record("run-2"))


async def test_new_run_is_not_planned_over_an_old_copy(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann"])
    await run.close_unchanged()
    shutil.copytree(run.folder, tmp_path / "copy")
    run = await ledger.open("run-1", read_only=False)
    await send(run, 1, RowStatus.UNKNOWN)
    await die(run)
    put_back(tmp_path / "copy", run.folder)

    with pytest.raises(LedgerError, match=OLDER_RUN):
        await ledger.create(make_record("run-2"))


async def test_moved_ledger_still_works(tmp_path: Path):
    run = await open_run(sqlite_ledger(tmp_path), ["ann"])
    await run.close_unchanged()

    shutil.move(tmp_path / "data", tmp_path / "moved" / "data")

    moved = await sqlite_ledger(tmp_path / "moved").open("run-1", read_only=False)
    assert await statuses(moved) == [RowStatus.NOT_SENT]
    await moved.close_unchanged()
