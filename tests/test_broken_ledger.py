"""A ledger that breaks while a run sends ends the run; the run is free for the same command afterwards."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import httpx
import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.events import RowFinished
from batch_enroll.ledger.sqlite import group_commit
from batch_enroll.ledger.sqlite.worker_ledger import SqliteWorkerLedger
from batch_enroll.models import Outcome, RowStatus
from batch_enroll.run.api import enroll_async
from tests.support.commands import people, read_results, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import OK, ScriptedPlatform
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


FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none")


def sent(server):
    return sum(server.received().values())


@pytest.fixture
def left(cli, sandbox):
    """What a run leaves that was stopped by an unclear answer: its words, its id, its ledger and the server."""
    server = sandbox(faults="drop_after_acting@10")
    source = write_csv(cli.folder / "in.csv", *people(ROWS))
    ledger = cli.folder / "ledger.sqlite"
    words = ("run", source, "--url", server.url, *FLAGS, "--ledger", ledger, "--concurrency", "1")
    ended = cli(*words, "--max-unknown", "0", "--json")
    assert (ended.code, ended.json["counts"]["unknown"]) == (3, 1)
    return words, ended.json["run"], ledger, server


def test_run_whose_file_is_gone_is_written_off(cli, left):
    words, run, ledger, server = left
    before = sent(server)
    for path in (ledger.with_name("ledger.sqlite.runs") / run).glob("run.sqlite*"):
        path.unlink()

    refused = cli(*words)
    assert refused.code == 3
    assert f"batch-enroll resolve {run} --write-off" in refused.err
    written_off = cli("resolve", run, "--write-off", "--ledger", ledger)
    assert written_off.code == 0, written_off.err
    assert f"of its {ROWS} rows {ROWS} are unknown now" in written_off.err
    results = Path(written_off.out.splitlines()[0])
    assert {row["enroll_code"] for row in read_results(results)} == {"ledger_damaged"}

    again = cli(*words, "--json")
    assert (again.code, again.json["counts"]["success"]) == (2, 0) if again.out else again.code == 2
    assert sent(server) == before


def test_write_off_refuses_a_run_that_can_be_trusted(cli, left):
    _, run, ledger, _ = left
    ended = cli("resolve", run, "--write-off", "--ledger", ledger)
    assert ended.code == 2
    assert f"Run {run} is not written off" in ended.err
    ended = cli("resolve", run, "--write-off", "--rows", "all", "--verdict", "resend", "--ledger", ledger)
    assert (ended.code, "give it alone" in ended.err) == (2, True)


def test_missing_ledger_is_made_anew_by_doctor(cli, left):
    words, run, ledger, server = left
    before = sent(server)
    ledger.unlink()

    refused = cli(*words)
    assert refused.code == 3
    assert "batch-enroll doctor --rebuild-index" in refused.err
    assert cli("doctor", "--ledger", ledger).code == 2
    ended = cli("doctor", "--rebuild-index", "--ledger", ledger)
    assert (ended.code, ended.err) == (0, "The ledger was made anew from 1 run.\n")

    resumed = cli("resume", run, "--ledger", ledger, "--json")
    assert (resumed.code, resumed.json["counts"]["success"]) == (4, ROWS - 1)
    assert sent(server) == before + ROWS - 10


async def test_ledger_that_is_removed_while_a_run_goes_is_told(tmp_path):
    ledger = sqlite_ledger(tmp_path)
    source = write_csv(tmp_path / "in.csv", *people(ROWS))

    def remove(body):
        ledger.place[0].unlink(missing_ok=True)
        return httpx.Response(200, json=OK)

    platform = ScriptedPlatform(remove)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite was removed or replaced while run \w+ was going"):
        await enroll_async(make_job(), source, token="t", ledger=ledger, transport=platform.transport)
    assert len(read_results(next(tmp_path.glob("*.results.csv")))) == ROWS
    with pytest.raises(LedgerError, match="the folders of 1 run are still beside it"):
        await enroll_async(make_job(), source, token="t", ledger=ledger, transport=platform.transport)
    assert len(set(platform.emails())) == len(platform.emails()) == ROWS
