"""`retry --errors` changes nothing in the ledger before everything that can refuse the run was passed."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from batch_enroll import run as run_module
from batch_enroll.clock import SystemClock
from batch_enroll.control.run_control import Control
from batch_enroll.errors import LedgerError, PreflightError, RunDeclined, RunStopped
from batch_enroll.ledger.records import RunState
from batch_enroll.ledger.sqlite.run_index import RunIndex
from batch_enroll.messages import verbatim
from batch_enroll.models import Counts, RowStatus
from batch_enroll.run.api import enroll_async, retry_async
from tests.support.commands import people, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import OK, ScriptedPlatform
from tests.test_run import make_job

ROWS = 5
REFUSED = Counts(success=1, error=ROWS - 1)


class World:
    """A finished run with four refused rows, and a platform that would accept them now."""

    def __init__(self, folder):
        self.folder, self.ledger, self.platform = folder, sqlite_ledger(folder), ScriptedPlatform()
        self.source = write_csv(folder / "in.csv", *people(ROWS))

    async def begin(self):
        first = people(1)[0][0]
        self.platform.reply = lambda body: httpx.Response(
            200, json=OK if body["email"] == first else {"error": 404, "error_text": "No profile"}
        )
        self.run_id = (await enroll_async(make_job(), self.source, **self.arguments)).run_id
        self.platform.reply = lambda body: httpx.Response(200, json=OK)
        self.platform.started.clear()
        return self

    @property
    def arguments(self):
        return {"token": "t", "ledger": self.ledger, "transport": self.platform.transport}

    async def retry(self, *, job=None, **arguments):
        return await retry_async(job or make_job(), self.run_id, RowStatus.ERROR, **{**self.arguments, **arguments})

    async def nothing_changed(self):
        """The rows are refused, the run is finished and free, and nothing was sent."""
        run = await self.ledger.open(self.run_id, read_only=True)
        counts, state = await run.counts(), run.record.state
        await run.close_unchanged()
        assert (counts, state) == (REFUSED, RunState.FINISHED)
        assert self.platform.started == []
        assert not await self.ledger.lock_owner(self.run_id)


@pytest.fixture
async def world(tmp_path):
    return await World(tmp_path).begin()


@pytest.mark.parametrize("moment", ["before the preflight", "at the question", "in the preflight"])
async def test_stop_before_the_first_row_leaves_rows_refused(world, moment, monkeypatch):
    control = Control()

    def stop():
        control.stop("Stopped by Ctrl-C.", exit_code=130)

    async def confirm(_):
        stop()
        return True

    if moment == "before the preflight":
        stop()
    elif moment == "in the preflight":
        plain = run_module.preflight  # type: ignore[attr-defined]

        async def preflight(*arguments, **_):
            stop()
            return await plain(*arguments)

        monkeypatch.setattr(run_module, "preflight", preflight)
    with pytest.raises(RunStopped, match=r"Stopped by Ctrl-C\. Nothing was sent\."):
        await world.retry(control=control, confirm=confirm if moment == "at the question" else None)
    await world.nothing_changed()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunDeclined(verbatim("No.")), ValueError("a bug")], ids=repr)
async def test_error_at_the_question_leaves_rows_refused(world, error):
    async def confirm(_):
        raise error

    with pytest.raises(type(error)):
        await world.retry(confirm=confirm)
    await world.nothing_changed()


async def test_refused_start_leaves_rows_refused(world):
    for job in (make_job(stop__max_rows=2), make_job(output__results=world.folder / "no such" / "r.csv")):
        with pytest.raises(RunStopped):
            await world.retry(job=job)
        await world.nothing_changed()

    class Later(SystemClock):
        """Allowed at first, no longer once somebody has answered."""

        shift = timedelta()

        def now(self):
            return super().now() + self.shift

    clock = Later()

    async def confirm(_):
        clock.shift = timedelta(hours=12)
        return True

    hour = clock.now().hour
    allowed = make_job(stop__allowed_hours=f"{hour:02}:00-{(hour + 6) % 24:02}:00 UTC")
    with pytest.raises(RunStopped, match="outside the allowed hours"):
        await world.retry(job=allowed, clock=clock, confirm=confirm)
    await world.nothing_changed()
    world.platform.scenario["is_active"] = False
    with pytest.raises(PreflightError):
        await world.retry()
    await world.nothing_changed()


@pytest.mark.parametrize("method", ["update", "lookup"])
async def test_unusable_index_leaves_rows_refused(world, method, monkeypatch):
    """The rows are put back and compared with what other runs sent in one step, or not at all."""

    async def confirm(_):
        def fails(*_, **__):
            raise LedgerError(verbatim("The disk that holds the index is full."))

        patch.setattr(RunIndex, method, fails)
        return True

    with monkeypatch.context() as patch, pytest.raises(LedgerError, match="index is full"):
        await world.retry(confirm=confirm)
    await world.nothing_changed()


async def test_unwritable_ledger_leaves_rows_refused(world, monkeypatch):
    async def confirm(_):
        def fails(*_):
            raise ValueError("a bug")

        patch.setattr("batch_enroll.ledger.sqlite.group_commit.count_commit", fails)
        return True

    with monkeypatch.context() as patch, pytest.raises(LedgerError):
        await world.retry(confirm=confirm)
    await world.nothing_changed()


async def test_negative_control_accepted_retry_sends_the_refused_rows(world):
    summary = await world.retry()
    assert (summary.exit_code, summary.counts) == (0, Counts(success=ROWS))
    assert sorted(world.platform.emails()) == [email for email, _ in people(ROWS)[1:]]
