"""Erase one person from the memory and the stored rows of a ledger.

A run that is active or a row that is unknown refuses it before anything is changed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from batch_enroll.column_lookup import find_column
from batch_enroll.daemon_threads import run_in_thread
from batch_enroll.errors import InputError, JobError, RunLocked
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import FoundRow, RunRecord
from batch_enroll.maintenance.person_lookup import PersonKeys, PersonLookup, is_planned, person_row
from batch_enroll.messages import message
from batch_enroll.models import RowStatus
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.person_table import PersonRow, person_rows_to_json
from batch_enroll.reporting.result_paths import result_paths


@dataclass(frozen=True, slots=True, kw_only=True)
class RunErasure:
    """What is erased from one run."""

    run_id: str
    keys: tuple[bytes, ...]
    seqs: tuple[int, ...]  #: of invalid rows, which have no key
    rows: tuple[PersonRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePlan:
    """What is erased, and what people should know about the rest."""

    runs: tuple[RunErasure, ...]
    unused_plans: tuple[str, ...]  #: of processes that died; they sent nothing and may hold the person
    results: tuple[Path, ...]  #: files of the user that exist; they stay as they are
    elsewhere: tuple[str, ...]  #: runs in which another person's row has the value in one of its cells

    @property
    def rows(self) -> list[PersonRow]:
        """Return the rows of all runs."""
        return list(chain.from_iterable(run.rows for run in self.runs))


async def plan_erasure(ledger: Ledger, text: str) -> ErasurePlan:
    """Find everything that the ledger has of one person; nothing is changed.

    Args:
        text: as `PersonLookup` takes it.
    Raises:
        JobError: a run with the person is active, or a row of the person is unknown.
        LedgerError: a run cannot be read.
    """
    lookup = PersonLookup(ledger, text)
    runs: list[RunErasure] = []
    unused: list[str] = []
    results: list[Path] = []
    elsewhere: list[str] = []
    for record in await ledger.runs():
        if not is_planned(record):
            if not await ledger.lock_owner(record.run_id):
                unused.append(record.run_id)
            continue
        keys, rows = await lookup.keys(record), await lookup.rows(record)
        invalid, has_value_elsewhere = await _search_staged_rows(ledger, record, keys, text, rows)
        rows += [person_row(record, found, is_active=False) for found in invalid]
        if has_value_elsewhere:
            elsewhere.append(record.run_id)
        if rows:
            await _check_settled(ledger, record.run_id, rows)
            seqs = tuple(found.outcome.seq for found in invalid)
            runs.append(RunErasure(run_id=record.run_id, keys=keys.keys, seqs=seqs, rows=tuple(rows)))
            results += _existing_results(record)
    return ErasurePlan(runs=tuple(runs), unused_plans=tuple(unused), results=tuple(results), elsewhere=tuple(elsewhere))


async def erase_person(ledger: Ledger, plan: ErasurePlan, text: str) -> None:
    """Execute a plan. What an interruption leaves undone is found and done by the next call.

    Raises:
        RunLocked: a process has begun to work on a run since the plan was made.
        LedgerError: a file cannot be read or written, or a row has become unknown.
    """
    for run in plan.runs:
        await ledger.forget_rows(run.run_id, run.keys, seqs=run.seqs)
        await run_in_thread(_remove_notices, ledger.folder(run.run_id), text)
    if keys := sorted({key for run in plan.runs for key in run.keys}):
        await ledger.forget_sent(keys)
    for run_id in plan.unused_plans:
        with suppress(RunLocked):  # the same command is planning it again
            await ledger.delete_run(run_id)


def erasure_to_json(plan: ErasurePlan, *, done: bool) -> dict[str, object]:
    """Return the JSON object: `done`, `rows` (as `runs --who` lists them), `results`, `unused_plans`, `elsewhere`."""
    return {
        "done": done,
        "rows": person_rows_to_json(plan.rows),
        "results": [str(path) for path in plan.results],
        "unused_plans": list(plan.unused_plans),
        "elsewhere": list(plan.elsewhere),
    }


async def _check_settled(ledger: Ledger, run_id: str, rows: list[PersonRow]) -> None:
    """Refuse an erasure from a run that is active or does not know what became of a row."""
    if owner := await ledger.lock_owner(run_id):
        raise JobError(message("maintenance.forget_active", run_id=run_id, owner=owner))
    unknown = [row.number for row in rows if row.status is RowStatus.UNKNOWN]
    if unknown:
        raise JobError(message("maintenance.forget_unknown", run_id=run_id, rows=len(unknown)))


async def _search_staged_rows(
    ledger: Ledger, record: RunRecord, keys: PersonKeys, text: str, rows: list[PersonRow]
) -> tuple[list[FoundRow], bool]:
    """Search the staged rows of a run, where they are kept.

    Returns:
        The invalid rows whose identity is the person's, and whether a row that is not the person's has the value.
    """
    run = await ledger.open(record.run_id, read_only=True)
    try:
        if not await run_in_thread(run.stage.exists):
            return [], False
        own = {row.number for row in rows}
        invalid, has_value_elsewhere = await run_in_thread(_scan, run, keys, text, own)
        found = []
        for seq, number in invalid:
            (outcome,) = await run.outcomes(after_seq=seq - 1, limit=1)
            found.append(FoundRow(number, outcome))
        return found, has_value_elsewhere
    finally:
        await run.close_unchanged()


def _scan(run: RunLedger, keys: PersonKeys, text: str, own: set[int | None]) -> tuple[list[tuple[int, int]], bool]:
    """Give (seq, number) of the person's rows without a request, and whether another row has the value in a cell."""
    at = None
    with suppress(InputError):  # by rules for names that are stricter now
        at = find_column(run.stage.columns(), keys.column)
    value, invalid, has_value_elsewhere = text.strip().casefold(), [], False
    for block in run.stage.blocks():
        for seq, row, body in block:
            if row.number in own:
                continue
            if not body and at is not None and at < len(row.cells) and keys.is_same(row.cells[at]):
                invalid.append((seq, row.number))
            elif any(cell.strip().casefold() == value for cell in row.cells):
                has_value_elsewhere = True
    return invalid, has_value_elsewhere


def _existing_results(record: RunRecord) -> list[Path]:
    """List the files with rows that the run wrote and that are still there."""
    named = Path(record.results_path) if record.results_path else None
    paths = result_paths(record.input_path, run_id=record.run_id, results=named)
    return [path for path in (paths.results, paths.failed, paths.unknown) if path.exists()]


def _remove_notices(folder: Path, text: str) -> None:
    """Remove the last status of a run when one of its notices quotes the value."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1].casefold()
    for path in folder.glob("*.json"):
        with translate_os_errors(path):
            if quoted in path.read_text(encoding="utf-8", errors="replace").casefold():
                path.unlink()
