"""Makes runs, rows and ledgers for the tests of the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from batch_enroll.ledger.interface import Ledger, RunLedger, WorkerLedger
from batch_enroll.ledger.records import DoubtedRow, Duplicate, PlannedRow, PlanRules, RunRecord
from batch_enroll.ledger.sqlite import SqliteRunLedger
from batch_enroll.messages import Message, verbatim
from batch_enroll.models import Duplicates, Outcome, RowStatus
from tests.support.ledgers import kill

NOON = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
SKIP = PlanRules(duplicates=Duplicates.SKIP)


def minutes(many: float) -> timedelta:
    return timedelta(minutes=many)


def make_record(run_id: str = "run-1", *, identity: str = "", input_path: str = "/in/leads.csv") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        identity=identity or f"identity of {run_id}",
        input_name="leads.csv",
        input_path=input_path,
        input_sha256="ab" * 32,
        url="https://example.org",
        scenario=3,
        matching="email=E-mail",
        settings_json="{}",
        tool_version="0.1.0",
        created_at=NOON,
    )


def key_of(who: str) -> bytes:
    return hashlib.blake2b(who.encode(), digest_size=16).digest()


def make_rows(people: Iterable[str | None], *, content: str = "", first: int = 1) -> list[PlannedRow]:
    """One row for each person; None is an invalid row."""
    return [
        PlannedRow(
            seq=seq,
            number=seq + 1,
            key=None if who is None else key_of(who),
            content_hash=b"" if who is None else hashlib.blake2b(f"{who}{content}".encode(), digest_size=8).digest(),
            code="email_invalid" if who is None else "",
        )
        for seq, who in enumerate(people, start=first)
    ]


async def open_run(
    ledger: Ledger, people: Sequence[str | None], *, record: RunRecord | None = None, rules: PlanRules = SKIP
) -> RunLedger:
    """Plan a run over some people and seal it."""
    run = await ledger.create(record or make_record())
    await run.plan(make_rows(people))
    await run.mark_duplicates(rules)
    await run.finish_planning(rows=len(people))
    return run


_workers: WeakKeyDictionary[RunLedger, WorkerLedger] = WeakKeyDictionary()


async def worker_of(run: RunLedger) -> WorkerLedger:
    """Return the worker of a run; the first call joins the run."""
    if run not in _workers:
        _workers[run] = await run.join()
    return _workers[run]


async def record_intent(run: RunLedger, seq: int, *, at: datetime) -> int:
    return await (await worker_of(run)).record_intent(seq, at=at)


async def record_outcome(run: RunLedger, outcome: Outcome) -> None:
    await (await worker_of(run)).record_outcome(outcome)


async def release_row(run: RunLedger, seq: int, *, code: str, message: Message) -> None:
    await (await worker_of(run)).release(seq, code=code, message=message)


async def doubt_answer(run: RunLedger, seq: int) -> DoubtedRow:
    return await (await worker_of(run)).doubt_answer(seq)


async def send(run: RunLedger, seq: int, status: RowStatus, *, at: datetime = NOON, code: str = "") -> None:
    """Let one attempt end in `status`."""
    await record_intent(run, seq, at=at)
    await record_outcome(run, Outcome(seq=seq, status=status, code=code, message=verbatim(code and f"It was {code}.")))


async def statuses(run: RunLedger) -> list[RowStatus]:
    return [outcome.status for outcome in await run.outcomes(after_seq=0, limit=1000)]


async def all_duplicates(run: RunLedger) -> list[Duplicate]:
    return await run.duplicates(after_seq=0, limit=1000)


async def die(run: RunLedger) -> None:
    """Let go of a run as a killed process does, whichever ledger it is in."""
    assert isinstance(run, SqliteRunLedger)
    await kill(run)
