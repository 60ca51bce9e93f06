"""Write the files of a run: every row of the plan with its outcome, and the summary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import anyio

from batch_enroll.atomic_file import file_mode_from
from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import run_abandonable, run_in_thread
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import RunLedger
from batch_enroll.ledger.records import Reason
from batch_enroll.ledger.transitions import IN_FLIGHT, INTERRUPTED
from batch_enroll.messages import advice_for, message, title_for, verbatim
from batch_enroll.models import Notice, Outcome, Row, RowStatus
from batch_enroll.reporting.reason_counts import ReasonLine
from batch_enroll.reporting.replaceable_results import WRITTEN_NAME, check_replaceable, replaceable_paths
from batch_enroll.reporting.result_paths import (
    STDIN,
    ResultPaths,
    check_writable,
    is_address,
    names_folder,
    result_paths,
)
from batch_enroll.reporting.results_writer import ResultsWriter, WrittenFiles
from batch_enroll.reporting.summary import (
    RESULTS_BESIDE,
    RunEnd,
    RunSummary,
    exit_code_for,
    write_summary,
)
from batch_enroll.run.job_outputs import files_read
from batch_enroll.sending.request_body import IDENTITY, identity_of, restore

MAX_REASONS = 10
_NO_TURN = ("stopped", message("sending.no_turn"))
_WAITS = ("", message("sending.waits_for_turn"))
_BLOCKS_AT_ONCE = 5  #: of 1,000 staged rows: each hand-over to a thread costs two switches
_CLEAN_UP_S = 5.0  #: for removing a partial file from a disk that may hang


def local_input_path(run: RunLedger) -> Path | None:
    """Give the input's path; None when it is not a file of this machine."""
    path = run.record.input_path
    return None if path == STDIN or is_address(path) else Path(path)


def result_paths_for(run: RunLedger, results: Path | None) -> ResultPaths:
    """Choose the paths of the run's files: the job's, else those of the last time, else beside the input."""
    if results is None and run.record.results_path:
        results = Path(run.record.results_path)
    return result_paths(run.record.input_path, run_id=run.record.run_id, results=results)


async def choose_paths(
    run: RunLedger, wanted: ResultPaths, *, overwrite: bool
) -> tuple[ResultPaths, tuple[Notice, ...]]:
    """Choose names that replace nothing but unchanged results, with a notice when they are not the wanted ones.

    Args:
        overwrite: take the wanted ones, whatever is there.
    """
    if overwrite:
        return wanted, ()
    default = result_paths(run.record.input_path, run_id=run.record.run_id).results
    paths = await run_abandonable(lambda: replaceable_paths(wanted, default, written=run.folder / WRITTEN_NAME))
    if paths == wanted:
        return paths, ()
    said = message("report.results_beside", wanted=str(wanted.results), path=str(paths.results))
    return paths, (Notice(code=RESULTS_BESIDE, message=said),)


async def write_files(
    run: RunLedger,
    paths: ResultPaths,
    *,
    overwrite: bool = False,
    active: bool = False,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> WrittenFiles:
    """Write the results file and, when they would hold a row, the failed and the unknown rows.

    A cancellation ends it at once and leaves the older files as they were.

    Args:
        overwrite: files of others may lie under the names.
        active: as for `rows_with_outcomes`.
        on_progress: called with the number of rows written so far, from 0 on.
    Raises:
        RunStopped: the disk does not take them; nothing is lost, they can be written again.
    """
    rows = 0
    on_progress(rows)
    columns = await run_in_thread(run.stage.columns)
    mode = await run_abandonable(lambda: file_mode_from(local_input_path(run), earlier=paths.results))
    writer = ResultsWriter(
        paths,
        columns,
        run_id=run.record.run_id,
        advice=advice_for,
        mode=mode,
        written=run.folder / WRITTEN_NAME,
        overwrite=overwrite,
    )
    try:
        await run_abandonable(writer.__enter__)
        async for pairs in rows_with_outcomes(run, active=active):
            await run_abandonable(writer.write, pairs)
            rows += len(pairs)
            on_progress(rows)
        return await run_abandonable(writer.finish)
    finally:
        with anyio.move_on_after(_CLEAN_UP_S, shield=True):
            await run_abandonable(writer.__exit__, None, None, None)


async def report_again(
    run: RunLedger,
    results: Path | None,
    *,
    ledger: tuple[Path, Path] | None = None,
    overwrite: bool = False,
    active: bool = False,
) -> RunSummary:
    """Write all files of a run as it stands now, also while another process works on it.

    Args:
        results: where they go, as `[output] results`; None = where they were before.
        ledger: its `place`; None = the one that the run's settings name.
        overwrite: they may replace a file that this program did not write; never the ledger.
        active: another process works on the run.
    Raises:
        JobError: a file that the run read would be overwritten, or one that this program did not write.
        RunStopped: the disk does not take them; nothing is lost, they can be written again.
    """
    record, paths = run.record, result_paths_for(run, results)
    settings = Job.settings_from_json(record.settings_json)
    reads = replace(files_read(settings, source=local_input_path(run), ledger=ledger), overwrite=overwrite)
    makes_folder = names_folder(results)
    await run_abandonable(lambda: check_writable(paths, rows=record.rows, reads=reads, makes_folder=makes_folder))
    if results is not None and not overwrite:
        await run_abandonable(lambda: check_replaceable(paths))
    paths, notices = await choose_paths(run, paths, overwrite=overwrite)
    written = await write_files(run, paths, overwrite=overwrite, active=active)
    ended = record.finished_at or record.created_at
    summary = RunSummary(
        run_id=record.run_id,
        end=RunEnd.STOPPED if written.counts.not_sent else RunEnd.FINISHED,
        stop_reason=record.stop_reason,
        exit_code=exit_code_for(written.counts, stopped=False),
        counts=written.counts,
        planned_rows=record.rows,
        requests=written.attempts,
        started_at=record.created_at,
        duration_s=(ended - record.created_at).total_seconds(),
        url=record.url,
        scenario=record.scenario,
        input_name=record.input_name,
        reasons=await reason_lines(run, active=active),
        results=written.results,
        failed=written.failed,
        unknown=written.unknown,
        summary=paths.summary,
        sha256=written.sha256,
        notices=notices,
    )
    mode = await run_abandonable(lambda: file_mode_from(local_input_path(run), earlier=paths.results))
    await run_abandonable(lambda: write_summary(paths.summary, summary, mode=mode))
    return summary


async def rows_with_outcomes(run: RunLedger, *, active: bool = False) -> AsyncIterator[list[tuple[Row, Outcome]]]:
    """Pair every row of the plan with its outcome, in plan order, in blocks.

    Args:
        active: a process works on the run, so that a row without an answer may still get one.
    Raises:
        LedgerError: the stage and the ledger do not hold the same rows.
    """
    seen = 0
    blocks = run.stage.blocks()
    while block := await run_abandonable(lambda: list(chain.from_iterable(islice(blocks, _BLOCKS_AT_ONCE)))):
        outcomes = await run.outcomes(after_seq=seen, limit=len(block))
        if [staged.seq for staged in block] != [outcome.seq for outcome in outcomes]:
            raise LedgerError(message("run.rows_do_not_fit", run_id=run.record.run_id, row=seen))
        yield [
            (staged.row, _readable_outcome(outcome, staged.body, active=active))
            for staged, outcome in zip(block, outcomes, strict=True)
        ]
        seen += len(block)


async def reason_lines(run: RunLedger, *, active: bool = False) -> tuple[ReasonLine, ...]:
    """List why rows are not `success`, the most frequent first, with the advice.

    Args:
        active: a process works on the run, so that rows without an outcome still wait.
    """
    no_turn = _WAITS if active else _NO_TURN
    reasons = await run.reasons(limit=MAX_REASONS)
    if not active:
        reasons = _with_interrupted(reasons)
    return tuple(
        ReasonLine(
            status=reason.status,
            code=reason.code or (no_turn[0] if reason.status is RowStatus.NOT_SENT else ""),
            message=_reason_text(reason, str(no_turn[1])),
            count=reason.count,
            first_rows=reason.first_rows,
            advice=advice_for(reason.code),
        )
        for reason in reasons
    )


def _with_interrupted(reasons: Sequence[Reason]) -> list[Reason]:
    """Count rows in flight as interrupted: no process works on the run any more."""
    code, text = INTERRUPTED
    gone = [reason for reason in reasons if reason.code in (code, IN_FLIGHT[0])]
    if not gone:
        return list(reasons)
    numbers = sorted(number for reason in gone for number in reason.first_rows)[: Reason.FIRST_ROWS]
    one = replace(
        gone[0], code=code, message=text, count=sum(reason.count for reason in gone), first_rows=tuple(numbers)
    )
    return sorted([one, *(reason for reason in reasons if reason not in gone)], key=lambda reason: -reason.count)


def _reason_text(reason: Reason, no_turn: str) -> str:
    match reason.status:
        case RowStatus.INVALID:
            return title_for(reason.code)
        case RowStatus.NOT_SENT if not reason.code:
            return no_turn
    return restore(reason.message, "…")


def _readable_outcome(outcome: Outcome, body: str, *, active: bool) -> Outcome:
    """Restore the identity for which the ledger keeps a placeholder, and the code of a row that was not sent or whose
    process ended.
    """
    if outcome.status is RowStatus.NOT_SENT and not outcome.code:
        return outcome._replace(code=_NO_TURN[0], message=_NO_TURN[1])
    if outcome.code == IN_FLIGHT[0] and not active:
        return outcome._replace(code=INTERRUPTED[0], message=verbatim(INTERRUPTED[1]))
    if not body or IDENTITY not in (text := str(outcome.message)):
        return outcome
    return outcome._replace(message=verbatim(restore(text, identity_of(body))))
