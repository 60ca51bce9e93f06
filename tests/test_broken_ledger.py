"""A ledger that breaks while a run sends ends the run; the run is free for the same command afterwards."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.events import RowFinished
from batch_enroll.ledger.sqlite import group_commit
from batch_enroll.ledger.sqlite.worker_ledger import SqliteWorkerLedger
from batch_enroll.models import Outcome, RowStatus
from batch_enroll.run.api import enroll_async
from tests.support.commands import people, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import ScriptedPlatform
from tests.test_run import make_job

ROWS = 40


async def test_broken_ledger_during_sending_releases_the_run(tmp_path, monkeypatch):
    ledger, platform = sqlite_ledger(tmp_path), ScriptedPlatform()
    source = write_csv(tmp_path / "in.csv", *people(ROWS))
    arguments: dict[str, Any] = {"token": "t", "ledger": ledger, "transport": platform.transport}

    def fails(*_):
        raise ValueError("a bug")

    def break_at_row_10(event):
        if isinstance(event, RowFinished) and event.row_number == 10:
            patch.setattr(group_commit, "count_commit", fails)

    job = make_job(send__concurrency=2)
    with monkeypatch.context() as patch, pytest.raises(LedgerError, match="ValueError"):
        await enroll_async(job, source, emit=break_at_row_10, **arguments)
    (record,) = await ledger.runs()
    assert not await ledger.lock_owner(record.run_id)
    assert len(platform.started) < ROWS

    summary = await enroll_async(job, source, **arguments)
    assert summary.counts.rows == ROWS
    assert summary.counts.unknown <= 2  # in flight when it broke
    assert summary.counts.success == ROWS - summary.counts.unknown
    assert len(set(platform.emails())) == len(platform.emails())


async def test_row_taken_by_another_worker_is_not_sent(tmp_path, monkeypatch):
    plain = SqliteWorkerLedger.record_intent

    async def record_intent(self, seq, *, at):
        if seq == 20:  # another worker is quicker
            await plain(self, seq, at=at)
            await self.record_outcome(Outcome(seq=seq, status=RowStatus.SUCCESS))
        return await plain(self, seq, at=at)

    monkeypatch.setattr(SqliteWorkerLedger, "record_intent", record_intent)
    ledger, platform, finished = sqlite_ledger(tmp_path), ScriptedPlatform(), []

    def note(event):
        if isinstance(event, RowFinished):
            finished.append(event.outcome.seq)

    source = write_csv(tmp_path / "in.csv", *people(ROWS))
    summary = await enroll_async(make_job(), source, token="t", ledger=ledger, transport=platform.transport, emit=note)

    assert (summary.exit_code, summary.counts.success) == (0, ROWS)
    assert sorted(finished) == [seq for seq in range(1, ROWS + 1) if seq != 20]
    assert len(platform.emails()) == ROWS - 1


async def test_illegal_transition_stops_the_run(tmp_path, monkeypatch):
    plain = SqliteWorkerLedger.record_intent

    async def record_intent(self, seq, *, at):
        return await plain(self, ROWS + 1 if seq == 20 else seq, at=at)

    monkeypatch.setattr(SqliteWorkerLedger, "record_intent", record_intent)
    ledger, platform = sqlite_ledger(tmp_path), ScriptedPlatform()
    source = write_csv(tmp_path / "in.csv", *people(ROWS))
    summary = await enroll_async(
        make_job(send__concurrency=1), source, token="t", ledger=ledger, transport=platform.transport
    )
    assert summary.exit_code == 3
    assert "is not in state PLANNED" in str(summary.stop_reason)
    assert len(platform.emails()) == 19


async def test_undeletable_owner_note_keeps_no_lock(tmp_path, monkeypatch):
    ledger, platform = sqlite_ledger(tmp_path), ScriptedPlatform()
    arguments: dict[str, Any] = {"token": "t", "ledger": ledger, "transport": platform.transport}
    plain = Path.unlink

    def unlink(path, missing_ok=False):
        if path.suffix == ".owner":
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        plain(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        first = await enroll_async(make_job(), write_csv(tmp_path / "in.csv", *people(2)), **arguments)
    assert first.exit_code == 0
    assert not await ledger.lock_owner(first.run_id)
    again = await enroll_async(make_job(send__again=True), tmp_path / "in.csv", **arguments)
    assert again.counts.success == 2
