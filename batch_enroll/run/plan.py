"""Plan a run: read, map, check for duplicates and stage the whole input before the first request leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import anyio

from batch_enroll.column_lookup import column_title
from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import raise_if_abandoned, run_abandonable, run_in_thread
from batch_enroll.errors import AlreadyFinished, EmptyInput, InputError, RunStopped
from batch_enroll.events import EnrolledMeanwhile, PlanningStarted, RowsRead
from batch_enroll.installed_versions import tool_version
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import Duplicate, PlannedRow, PlanRules, RunRecord, RunState
from batch_enroll.loading import InputTable
from batch_enroll.messages import advice_for, message
from batch_enroll.models import Counts, Duplicates, EnrolledBefore, Notice, Row, RowStatus
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.reporting.reason_counts import ReasonLine
from batch_enroll.run.canary import canary_of
from batch_enroll.run.context import RunContext
from batch_enroll.run.earlier_runs import load_baseline
from batch_enroll.run.enrolled_before import (
    add_aliases,
    build_mapper,
    check_nobody_enrolled,
    is_last_run_of_earlier_release,
    is_nothing_left,
    last_enrolled,
    memory_notices,
    recall,
    rules_for_plan,
    rules_since_planned,
)
from batch_enroll.run.enrolled_elsewhere import elsewhere_notices, enrolled_elsewhere
from batch_enroll.run.identity_keys import identity_keys
from batch_enroll.run.input_source import LocalInput, name_text, open_input, path_text
from batch_enroll.run.phone_spellings import Respelled, compare_phones
from batch_enroll.run.plan_limits import hours_text
from batch_enroll.run.row_planner import PlanCounters, RowPlanner
from batch_enroll.run.run_identity import (
    already_finished,
    check_same_requests,
    dry_run_identity,
    new_run_id,
    nothing_to_resume,
    run_identities,
)
from batch_enroll.run.unfinished_runs import unfinished_notices
from batch_enroll.sending import ScenarioInfo

_SAMPLES = 3
_PAGE_ROWS = 10_000
_EMIT_EVERY_ROWS = 10_000
_ROWS_FROM_THREAD = 5_000  #: at once: each hand-over costs two switches of threads


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can be sent: its plan and its open ledger."""

    plan: PlanView  #: without the scenario and the earlier runs, see `complete_plan`
    counts: Counts  #: `not_sent` are the rows that will be sent
    ledger: RunLedger
    input_path: str  #: as `path_text` gives it
    columns: tuple[str, ...] = ()  #: of a run that was planned now
    again: RowStatus | None = None  #: rows of this status are to be sent once more, see `requeue`
    finished: AlreadyFinished | None = None  #: of a dry run: why `run` would refuse this input
    reported: tuple[Notice, ...] = ()  #: the notices that an unattended run reports too, not only its plan


async def prepare_run(context: RunContext, source: LocalInput, *, dry_run: bool = False) -> PreparedRun:
    """Read the input and plan a run over it, or open the unfinished run that it belongs to.

    Args:
        dry_run: plan afresh whatever ran before; the caller discards the run.
    Raises:
        InputError: the input cannot be used, or holds no row; nothing stays behind.
        AlreadyFinished: the same input was sent to the same scenario before.
        RunLocked, LedgerError, JobError: as their docstrings say.
    """
    job, ledger, clock = context.job, context.ledger, context.clock
    async with open_input(source, job) as table:
        identity, *former = await run_identities(job, table, ledger)
        earlier = await ledger.find((identity, *former))
        for record in [] if dry_run else earlier:
            if record.state is RunState.OPEN:
                check_same_requests(record, job)
                return await resume_run(context, record.run_id)
        finished = [record for record in earlier if record.state is RunState.FINISHED]
        done = await already_finished(ledger, finished[0]) if finished and not job.send.again else None
        nothing_left = done is not None and is_nothing_left(done.counts, job)
        if done and nothing_left and not dry_run:
            raise done
        mapper = build_mapper(job, table.columns)
        record = _new_record(context, source, table, identity=identity, finished=finished, dry_run=dry_run)
        rules = rules_for_plan(job, clock.now(), identities=(identity, *former))
        elsewhere = await enrolled_elsewhere(job, table, ledger)
        keys, salt = await identity_keys(job, ledger), await ledger.salt()
        run = await ledger.create(record)
        try:
            if not dry_run:
                context.emit(
                    PlanningStarted(
                        at=clock.now(), run_id=record.run_id, folder=run.folder, input_name=record.input_name
                    )
                )
            with compare_phones(job, run.folder) as phones:
                planner = RowPlanner(job, mapper, keys, salt=salt, elsewhere=elsewhere, phones=phones)
                await _stage_rows(context, run, table, planner, rules, blocks=mapper.mark_unlike(table.blocks()))
                respelled = await run_abandonable(phones.find) if phones else None
            await run.finish_planning(rows=planner.counters.rows)
            counts = await run.counts()
            nothing_left = nothing_left or not counts.not_sent
            if done and nothing_left and not dry_run:
                raise done
            about_rows = (*mapper.notices(), *await _spelling_notices(run, respelled, column=job.match.column))
            return await _describe_new_plan(
                context,
                run,
                table,
                planner.counters,
                notices=about_rows,
                finished=done if nothing_left else None,
            )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run.discard()
            raise


def _new_record(
    context: RunContext,
    source: LocalInput,
    table: InputTable,
    *,
    identity: str,
    finished: Sequence[RunRecord],
    dry_run: bool,
) -> RunRecord:
    """Make the record of a new run; `finished` are the runs that had the same identity before."""
    job = context.job
    return RunRecord(
        run_id=new_run_id(identity, taken=[record.run_id for record in finished], dry_run=dry_run),
        identity=dry_run_identity(identity) if dry_run else identity,
        input_name=name_text(source),
        input_path=path_text(source),
        input_sha256=table.sha256,
        url=job.url,
        scenario=job.scenario,
        matching=str(job.matching),
        settings_json=job.settings_json(),
        tool_version=tool_version(),
        created_at=context.clock.now(),
    )


async def _describe_new_plan(
    context: RunContext,
    run: RunLedger,
    table: InputTable,
    counters: PlanCounters,
    *,
    notices: Sequence[Notice],
    finished: AlreadyFinished | None,
) -> PreparedRun:
    """Describe a plan that is complete in the ledger: its numbers, and whom the ledger remembers.

    Args:
        notices: about the rows.
        finished: of a dry run: why `run` would refuse this input.
    Raises:
        InputError: the job refuses people who were enrolled before.
    """
    job, ledger = context.job, context.ledger
    counts, memory = await run.counts(), await recall(ledger, counters)
    check_nobody_enrolled(job, memory, counts.rows)
    about_memory = memory_notices(
        job,
        memory,
        skipped=counters.skipped["already_enrolled"],
        by_earlier_release=await is_last_run_of_earlier_release(ledger, job, except_run=run.record.run_id),
    )
    about_memory += elsewhere_notices(
        job, skipped=counters.skipped["enrolled_elsewhere"], first_rows=counters.first_elsewhere
    )
    about_memory += await _unfinished_notices(ledger, job, run.record)
    plan = replace(
        _build_plan(run.record, job, counts, await _first_bodies(run), counters, table.columns),
        input_form=table.form,
        notices=(*about_memory, *table.notices, *notices, *ledger.notices()),
        enrolled=memory.enrolled,
        last_enrolled=last_enrolled(memory),
        enrolled_before=EnrolledBefore.SEND if job.send.again else job.send.enrolled_before,
    )
    return PreparedRun(
        plan=plan,
        counts=counts,
        ledger=run,
        input_path=run.record.input_path,
        columns=table.columns,
        finished=finished,
        reported=tuple(about_memory),
    )


async def _stage_rows(
    context: RunContext,
    run: RunLedger,
    table: InputTable,
    planner: RowPlanner,
    rules: PlanRules,
    *,
    blocks: Iterator[list[Row]],
) -> None:
    """Map the table and write it to the stage, in a worker thread, and to the ledger; mark the duplicates."""
    counters = planner.counters
    stage = await run_in_thread(run.stage.writer, table.columns)

    def next_rows() -> list[PlannedRow]:
        """Read, map and stage the next rows; an empty list is the end."""
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
        emitted = 0
        while rows := await run_abandonable(next_rows):
            await run.plan(rows)
            if aliases := planner.take_aliases():
                await run.add_aliases(aliases)
            if elsewhere := planner.take_enrolled_elsewhere():
                await run.add_enrolled_elsewhere(elsewhere)
            if counters.rows - emitted >= _EMIT_EVERY_ROWS:
                emitted = counters.rows
                context.emit(RowsRead(at=context.clock.now(), rows=counters.rows))
        if not counters.rows:
            raise EmptyInput(message("run.no_rows"))
        await _mark_duplicates(run, rules, counters, context.job)
        await run_in_thread(stage.finish)
    except BaseException:
        await run_in_thread(stage.abandon)
        raise
    context.emit(RowsRead(at=context.clock.now(), rows=counters.rows))


async def _mark_duplicates(run: RunLedger, rules: PlanRules, counters: PlanCounters, job: Job) -> None:
    if not await run.mark_duplicates(rules):
        return
    after_seq = 0
    while found := await run.duplicates(after_seq=after_seq, limit=_PAGE_ROWS):
        if rules.duplicates is Duplicates.STOP:
            for duplicate in found:
                if duplicate.first_number is not None or not duplicate.elsewhere:
                    raise _stop_at_duplicate(duplicate, job.match.column)
        counters.count_duplicates(found)
        after_seq = found[-1].seq


async def _spelling_notices(run: RunLedger, found: Respelled | None, *, column: str) -> tuple[Notice, ...]:
    if found is None:
        return ()
    numbers = [(await run_in_thread(run.stage.rows, seq, seq))[0].row.number for seq in found.first_seqs]
    said = message("row.phone_spellings", count=found.rows, column=column, country=found.country)
    return (Notice(code="phone_spellings", message=said, rows=tuple(numbers), count=found.rows),)


def _stop_at_duplicate(first: Duplicate, column: str) -> InputError:
    number = first.number
    if first.first_number is None:
        return InputError(message("run.duplicate_of_run", row=number, column=column, run=first.earlier_run))
    return InputError(message("run.duplicate_of_row", row=number, column=column, first=first.first_number))


def _build_plan(
    record: RunRecord,
    job: Job,
    counts: Counts,
    first_requests: tuple[str, ...],
    counters: PlanCounters | None = None,
    columns: Sequence[str] = (),
) -> PlanView:
    """Build the plan as far as it is known without the platform; `counters` are None when the run is resumed."""
    done = counts.success + counts.error + (counts.unknown if counters else 0)
    return PlanView(
        run_id=record.run_id,
        carries_on=counters is None,
        input_name=record.input_name,
        rows=counts.rows,
        to_send=counts.not_sent,
        duplicates=counters.repeated if counters else 0,
        on_duplicate=job.send.duplicates,
        already_enrolled=counters.skipped["already_enrolled"] if counters else 0,
        held=counters.skipped["held_unknown"] if counters else counts.unknown,
        refused_before=counters.skipped["refused_before"] if counters else 0,
        enrolled_elsewhere=counters.skipped["enrolled_elsewhere"] if counters else 0,
        invalid=counts.invalid,
        settled=done if counters else done + counts.skipped,
        problems=_problems(counters, columns) if counters else (),
        url=job.url,
        scenario=job.scenario,
        matching=str(job.matching),
        content=job.content,
        delivery=job.send.delivery,
        rate_per_s=job.send.rate,
        concurrency=job.send.concurrency,
        first_requests=first_requests,
    )


def _problems(counters: PlanCounters, columns: Sequence[str]) -> tuple[ReasonLine, ...]:
    lines = []
    for code, count in counters.invalid.most_common():
        first, rows = counters.examples[code]
        lines.append(
            ReasonLine(
                status=RowStatus.INVALID,
                code=code,
                message=str(first.message),
                count=count,
                first_rows=tuple(rows),
                advice=advice_for(code),
                column="" if first.column is None else str(column_title(columns, first.column)),
            )
        )
    return tuple(lines)


async def complete_plan(prepared: PreparedRun, context: RunContext, scenario: ScenarioInfo | None) -> PlanView:
    """Add to a plan what the platform says of the scenario, the allowed hours and what earlier runs were like."""
    plan, job = prepared.plan, context.job
    baseline = None
    if not plan.carries_on:
        baseline = await load_baseline(context.ledger, job, path=prepared.input_path, run_id=plan.run_id)
    asks = context.look is not None
    canary = await canary_of(prepared.ledger, job.send.canary, prepared.counts, asks=asks)
    return replace(
        plan,
        canary=canary.left if canary else 0,
        notices=(*plan.notices, *_scenario_notices(scenario)),
        scenario_name=scenario.name if scenario else "",
        database=scenario.database if scenario else None,
        reentry=str(scenario.repeated_start) if scenario else "",
        reentry_mode=scenario.mode if scenario else "",
        hours=hours_text(job, context.clock.now(), to_send=plan.to_send),
        usual=baseline,
    )


def _scenario_notices(scenario: ScenarioInfo | None) -> tuple[Notice, ...]:
    """Warn about a missing start node. It does not refuse the run: the list's form differs between versions of the
    platform, and a person who sees the scenario knows better.
    """
    if scenario is None or scenario.has_default_start is not False:
        return ()
    return (Notice(code="no_default_start", message=message("run.no_default_start", scenario=scenario.scenario)),)


async def resume_run(context: RunContext, run_id: str, *, again: RowStatus | None = None) -> PreparedRun:
    """Open a run that was planned before.

    Args:
        run_id: as `runs` lists it.
        again: send the rows of this status once more: ERROR, or NOT_SENT for those that were never sent.
            They stay as they are until `requeue`: a plan that is declined must change nothing.
    Raises:
        RunLocked: another process is working on it.
        AlreadyFinished: no row is left, or another process has just finished it.
        LedgerError: there is no such run, or its kept rows are gone or damaged.
    """
    run = await context.ledger.open(run_id, read_only=False)
    try:
        interrupted = await run.recover()
        await run_in_thread(run.stage.check)
        await add_aliases(run, context.ledger, context.job)
        if again is None:
            if run.record.state is RunState.FINISHED:  # by another process, since `find`
                raise await already_finished(context.ledger, run.record)
            await run.skip_sent(rules_since_planned(run.record, context.clock.now()))
        counts = await run.counts()
        if again is RowStatus.NOT_SENT and run.record.state is RunState.FINISHED and not counts.not_sent:
            raise await nothing_to_resume(context.ledger, run.record)
        if again is RowStatus.ERROR:
            rows = await run.retryable()
            counts = replace(counts, error=counts.error - rows, not_sent=counts.not_sent + rows)
        plan = _build_plan(run.record, context.job, counts, await _first_bodies(run, again=again))
        unfinished = await _unfinished_notices(context.ledger, context.job, run.record)
        plan = replace(plan, notices=(*(_interrupted(rows, run_id) for rows in [interrupted] if rows), *unfinished))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run.close_unchanged()
        raise
    return PreparedRun(
        plan=plan,
        counts=counts,
        ledger=run,
        input_path=run.record.input_path,
        again=again,
        reported=unfinished,
    )


async def requeue(prepared: PreparedRun, context: RunContext) -> None:
    """Put the rows that are to be sent once more back to where they can be sent; does nothing when there are none.

    Nothing may come between this and the sending that could refuse the run: the rows would lose their outcome unsent.

    Args:
        prepared: by `resume_run`.
    Raises:
        RunStopped: the run was stopped; the rows stay refused.
        LedgerError: the ledger cannot be written; the rows stay refused.
    """
    if prepared.again is None:
        return
    if context.control.reason and prepared.again is RowStatus.ERROR:
        raise RunStopped(message("run.stopped_before_sending", reason=context.control.reason))
    rules = rules_since_planned(prepared.ledger.record, context.clock.now())
    await prepared.ledger.requeue(status=prepared.again, rules=rules)


async def skip_enrolled_meanwhile(prepared: PreparedRun, context: RunContext) -> None:
    """Look the planned people up once more, when no other run can send to the scenario any more.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    run, now = prepared.ledger, context.clock.now()
    await context.ledger.collect_sent(run.record)
    if run.record.state is RunState.OPEN and (rows := await run.skip_sent(rules_since_planned(run.record, now))):
        context.emit(EnrolledMeanwhile(at=now, rows=rows))


async def _unfinished_notices(ledger: Ledger, job: Job, run: RunRecord) -> tuple[Notice, ...]:
    return await unfinished_notices(ledger, job, input_path=run.input_path, except_runs=(run.run_id,))


def _interrupted(rows: int, run_id: str) -> Notice:
    return Notice(code="interrupted", message=message("run.interrupted", rows=rows, run_id=run_id), count=rows)


async def _first_bodies(run: RunLedger, *, again: RowStatus | None = None) -> tuple[str, ...]:
    """Give the bodies of the first requests that will leave, without the token."""
    first = [row.seq for row in await run.pending(after_seq=0, limit=_SAMPLES)]
    if again is RowStatus.ERROR:
        first = sorted([*first, *await _first_with_status(run, again)])[:_SAMPLES]
    if not first:
        return ()
    block = await run_in_thread(run.stage.rows, first[0], min(first[-1], first[0] + 999))
    bodies = {staged.seq: staged.body for staged in block}
    return tuple(bodies[seq] for seq in first if bodies.get(seq))


async def _first_with_status(run: RunLedger, status: RowStatus) -> list[int]:
    """Give the `seq` of the first few rows of a status."""
    found: list[int] = []
    after_seq = 0
    while len(found) < _SAMPLES and (page := await run.outcomes(after_seq=after_seq, limit=_PAGE_ROWS)):
        found += [outcome.seq for outcome in page if outcome.status is status]
        after_seq = page[-1].seq
    return found[:_SAMPLES]
