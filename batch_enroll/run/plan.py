"""Plan: the whole input is read, mapped, checked for duplicates and staged before the first request leaves.

In: a `Job` and an input. Out: a `Plan` for people and a sealed run in the ledger, or the unfinished run that the same
command began before. Never: a request, a row that stays in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import anyio

from batch_enroll.background import raise_if_abandoned, run_abandonable, run_in_thread
from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.errors import InputError, RunStopped
from batch_enroll.events import Listener, PlanningStarted, RowsRead
from batch_enroll.ledger.interface import (
    NO_PATH,
    Duplicate,
    Ledger,
    PlannedRow,
    PlanRules,
    RunLedger,
    RunRecord,
    RunState,
)
from batch_enroll.ledger.staging import StageWriter, check_staged_rows, staged_rows
from batch_enroll.loading import Table
from batch_enroll.mapping.row_mapper import Mapper
from batch_enroll.models import (
    Counts,
    DownloadedInput,
    Duplicates,
    Notice,
    RowStatus,
)
from batch_enroll.run.open_input import open_input
from batch_enroll.run.row_planner import PlanCounters, RowPlanner
from batch_enroll.run.run_identity import (
    already_finished,
    check_same_requests,
    dry_run_identity,
    name_text,
    new_run_id,
    path_text,
    run_identity,
)

_SAMPLES = 3
_PAGE_ROWS = 10_000
_TELL_EVERY_ROWS = 10_000
_ROWS_FROM_THREAD = 5_000  #: at once: each hand-over costs two switches of threads


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidKind:
    """One kind of problem that keeps rows from being sent."""

    code: str
    example: str  #: the first row's message
    count: int
    first_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What people see before anything leaves."""

    run_id: str
    resumed: bool  #: an unfinished run of the same command goes on
    form: str = ""  #: what the input is, in words
    columns: tuple[str, ...] = ()
    counts: Counts  #: `not_sent` are the rows that will be sent
    duplicates: int = 0  #: rows whose profile stands in an earlier row of this input
    enrolled_before: int = 0  #: rows skipped since an earlier run enrolled their profile in this scenario
    held: int = 0  #: rows skipped since an earlier run left their profile unknown
    repeated: tuple[Duplicate, ...] = ()  #: the first few of all three
    invalid: tuple[InvalidKind, ...] = ()
    notices: tuple[Notice, ...] = ()
    samples: tuple[str, ...] = ()  #: bodies of the first requests, without the token


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A plan and the run that it is about."""

    plan: Plan
    ledger: RunLedger
    again: RowStatus | None = None  #: rows of this status are to be sent once more, see `requeue`


async def prepare_run(
    job: Job,
    source: Path | BinaryIO | DownloadedInput,
    *,
    ledger: Ledger,
    clock: Clock,
    emit: Listener,
    tool_version: str,
    dry_run: bool = False,
) -> PreparedRun:
    """Read the input and plan a run over it, or find the unfinished run that it belongs to.

    Args:
        job: the settings.
        source: the input's path, a copy of one that lies elsewhere, or a binary stream for standard input.
        ledger: where runs are kept.
        clock: for records.
        emit: hears how many rows were read.
        tool_version: for the record.
        dry_run: plan afresh whatever ran before; the caller discards the run.
    Raises:
        InputError: the input cannot be used, or holds no row; nothing stays behind.
        AlreadyFinished: the same input was sent to the same scenario before.
        RunLocked, LedgerError, JobError: as their docstrings say.
    """
    async with open_input(source, job) as table:
        identity = run_identity(job, table)
        earlier = [] if dry_run else await ledger.find(identity)
        for record in earlier:
            if record.state is RunState.OPEN:
                check_same_requests(record, job)
                return await resume_run(ledger, record.run_id, clock=clock)
        finished = [record for record in earlier if record.state is RunState.FINISHED]
        if finished and not job.send.again:
            raise await already_finished(ledger, finished[0])
        mapper = Mapper(
            columns=table.columns,
            scenario=job.scenario,
            matching=job.matching,
            content=job.content,
            resource_id=job.match.resource_id,
            country=job.match.country,
        )
        path = path_text(source)
        record = RunRecord(
            run_id=new_run_id(identity, taken=[record.run_id for record in finished], dry_run=dry_run),
            identity=dry_run_identity(identity) if dry_run else identity,
            input_name=name_text(source),
            input_path=NO_PATH if dry_run else path,  # a dry run is in nobody's way
            input_sha256=table.sha256,
            url=job.url,
            scenario=job.scenario,
            matching=str(job.matching),
            settings_json=job.settings_json(),
            tool_version=tool_version,
            created_at=clock.now(),
        )
        rules = PlanRules(
            duplicates=job.send.duplicates,
            enrolled_since=clock.now() - timedelta(seconds=job.send.window) if job.send.window else None,
            enrolled_by_path=None if job.send.again or path == NO_PATH else path,
            hold_unknown=not job.send.again,
        )
        salt = await ledger.salt()
        run = await ledger.create(record)
        try:
            if not dry_run:
                emit(
                    PlanningStarted(
                        at=clock.now(), run_id=record.run_id, folder=run.folder, input_name=record.input_name
                    )
                )
            tally = await _read_rows(table, mapper, run, rules=rules, salt=salt, job=job, clock=clock, emit=emit)
            await run.finish_planning(rows=tally.rows)
            shown = await _shown(run, table, mapper, tally)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run.discard()
            raise
        return PreparedRun(plan=replace(shown, notices=(*shown.notices, *ledger.notices())), ledger=run)


async def _read_rows(
    table: Table,
    mapper: Mapper,
    run: RunLedger,
    *,
    rules: PlanRules,
    salt: bytes,
    job: Job,
    clock: Clock,
    emit: Listener,
) -> PlanCounters:
    """Take the table through mapping into the stage, in a worker thread, and into the ledger."""
    planner = RowPlanner(job, mapper, salt=salt)
    tally = planner.tally
    blocks = table.blocks()
    stage = await run_in_thread(StageWriter, run.folder, table.columns)

    def next_rows() -> list[PlannedRow]:
        """Read, map and stage the next rows; none are left when it gives none."""
        rows: list[PlannedRow] = []
        for block in blocks:
            raise_if_abandoned()
            planned, staged = planner.plan(block)
            stage.write(staged)
            rows += planned
            if len(rows) >= _ROWS_FROM_THREAD:
                break
        return rows

    try:
        told = 0
        while rows := await run_abandonable(next_rows):
            await run.plan(rows)
            if tally.rows - told >= _TELL_EVERY_ROWS:
                told = tally.rows
                emit(RowsRead(at=clock.now(), rows=tally.rows))
        if not tally.rows:
            raise InputError(
                "The input has a header but no rows; there is nothing to send.",
                hint="Look whether the right file and sheet were given.",
            )
        await _mark_duplicates(run, rules, tally, job)
        await run_in_thread(stage.finish)
    except BaseException:
        await run_in_thread(stage.abandon)
        raise
    emit(RowsRead(at=clock.now(), rows=tally.rows))
    return tally


async def _mark_duplicates(run: RunLedger, rules: PlanRules, tally: PlanCounters, job: Job) -> None:
    if not await run.mark_duplicates(rules):
        return
    after_seq = 0
    while found := await run.duplicates(after_seq=after_seq, limit=_PAGE_ROWS):
        if rules.duplicates is Duplicates.STOP:
            raise _stop_at_duplicate(found[0], job.match.column)
        tally.repeat(found)
        after_seq = found[-1].seq


def _stop_at_duplicate(first: Duplicate, column: str) -> InputError:
    where = f"row {first.first_number}" if first.first_number is not None else f"a row of run {first.earlier_run}"
    return InputError(
        f"Row {first.number} holds the same {column} as {where}, and duplicates are set to stop.",
        hint="Remove the repeated rows, or give --duplicates skip (or send).",
    )


async def _shown(run: RunLedger, table: Table, mapper: Mapper, tally: PlanCounters) -> Plan:
    return Plan(
        run_id=run.record.run_id,
        resumed=False,
        form=table.form,
        columns=table.columns,
        counts=await run.counts(),
        duplicates=tally.seen_before["inside"],
        enrolled_before=tally.seen_before["enrolled"],
        held=tally.seen_before["held"],
        repeated=tuple(tally.repeated),
        invalid=tuple(
            InvalidKind(code=code, example=str(tally.kinds[code][0]), count=n, first_rows=tuple(tally.kinds[code][1]))
            for code, n in tally.invalid.most_common()
        ),
        notices=(*table.notices, *mapper.notices()),
        samples=await _first_bodies(run),
    )


async def resume_run(ledger: Ledger, run_id: str, *, clock: Clock, again: RowStatus | None = None) -> PreparedRun:
    """Open a run that was planned before.

    Args:
        ledger: where it is kept.
        run_id: as `runs` lists it.
        clock: says what the run's window covers by now.
        again: send the rows of this status once more: ERROR, or NOT_SENT for those that were never sent.
            They stay as they are until `take_back`: a plan that nobody wants must change nothing.
    Raises:
        RunLocked: another process is working on it.
        AlreadyFinished: another process has just finished it.
        LedgerError: there is no such run, or its kept rows are gone or damaged.
    """
    run = await ledger.open(run_id, read_only=False)
    try:
        interrupted = await run.recover()
        await run_in_thread(lambda: check_staged_rows(run.folder, rows=run.record.rows))
        if again is None:
            if run.record.state is RunState.FINISHED:  # by another process, since we looked
                raise await already_finished(ledger, run.record)
            await run.skip_sent(_since_it_was_planned(run.record, clock))
        counts = await run.counts()
        if again is RowStatus.ERROR:
            counts = replace(counts, error=0, not_sent=counts.not_sent + counts.error)
        samples = await _first_bodies(run, again=again)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run.close_unchanged()
        raise
    notices = (_interrupted(interrupted, run_id),) if interrupted else ()
    plan = Plan(run_id=run_id, resumed=True, notices=notices, counts=counts, samples=samples)
    return PreparedRun(plan=plan, ledger=run, again=again)


async def requeue(planned: PreparedRun, clock: Clock, *, stop_reason: str) -> None:
    """Put the rows that are to be sent once more back to where they can be sent; a plan without such is left alone.

    Nothing may come between this and the sending that could refuse the run: the rows would lose their outcome unsent.

    Args:
        planned: as `carry_on` gave it.
        clock: says what the run's window covers by now.
        stop_reason: why somebody wants the run to stop; "" when nobody does.
    Raises:
        RunStopped: there is a reason to stop; the rows stay refused.
        LedgerError: the ledger cannot be written; the rows stay refused.
    """
    if planned.again is None:
        return
    if stop_reason and planned.again is RowStatus.ERROR:
        raise RunStopped(f"{stop_reason} Nothing was sent.")
    rules = _since_it_was_planned(planned.ledger.record, clock)
    await planned.ledger.requeue(status=planned.again, rules=rules)


def _since_it_was_planned(record: RunRecord, clock: Clock) -> PlanRules:
    """What other runs sent since then must not be sent again: an edited input has a run of its own, and the run's
    window looks at all of them.

    Not by the clock, which may have been set back: whatever they sent counts, since the plan skipped what it knew. Only
    a run that was to send everything once more (`--again`) was planned over older ones.
    """
    send = json.loads(record.settings_json)["send"]
    return PlanRules(
        duplicates=Duplicates.SKIP,
        enrolled_since=clock.now() - timedelta(seconds=send["window"]) if send["window"] else None,
        enrolled_by_path=None if record.input_path == NO_PATH else record.input_path,
        later_runs_only=send["again"],
    )


def _interrupted(rows: int, run_id: str) -> Notice:
    return Notice(
        code="interrupted",
        message=f"The process that sent this run before ended without a word; {rows:,} rows were in flight and are "
        "unknown from now on.",
        advice=f"`batch-enroll resolve {run_id}` lists the unknown rows.",
        count=rows,
    )


async def _first_bodies(run: RunLedger, *, again: RowStatus | None = None) -> tuple[str, ...]:
    """The first requests that will leave, as people are shown them."""
    first = [row.seq for row in await run.pending(after_seq=0, limit=_SAMPLES)]
    if again is RowStatus.ERROR:
        first = sorted([*first, *await _first_of(run, again)])[:_SAMPLES]
    if not first:
        return ()
    block = await run_in_thread(lambda: next(staged_rows(run.folder, rows=run.record.rows, after_seq=first[0] - 1), []))
    bodies = {staged.seq: staged.body for staged in block}
    return tuple(bodies[seq] for seq in first if seq in bodies)


async def _first_of(run: RunLedger, status: RowStatus) -> list[int]:
    """The first few rows of a status, by their place in the plan."""
    found: list[int] = []
    after_seq = 0
    while len(found) < _SAMPLES and (page := await run.outcomes(after_seq=after_seq, limit=_PAGE_ROWS)):
        found += [outcome.seq for outcome in page if outcome.status is status]
        after_seq = page[-1].seq
    return found[:_SAMPLES]
