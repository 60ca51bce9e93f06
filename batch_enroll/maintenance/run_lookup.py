"""Resolve the RUN argument of a command: an id, the beginning of one, `last`, or nothing when one run is active."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from batch_enroll.clock import local_time
from batch_enroll.errors import JobError, NoSuchRun, RunNotActive
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord, RunState
from batch_enroll.messages import Message, message
from batch_enroll.run.run_identity import is_dry_run

LAST: Final = "last"
LEAST_LETTERS: Final = 3  #: of the beginning of an id: with fewer a typing error could name a run
_SHOWN = 5


async def resolve_run_id(
    ledger: Ledger, given: str | None, *, active: bool = False, why_not_last: Message | None = None
) -> str:
    """Find the run that RUN names.

    Args:
        given: RUN of the command, in upper or lower case; None when it was left out.
        active: the command is for active runs: RUN may be left out, or be `last`, while exactly one is active.
        why_not_last: one sentence, when RUN must be an id or a beginning of it; "" otherwise.
    Returns:
        The id as the ledger has it.
    Raises:
        NoSuchRun: no run matches, or several do; the message names the nearest.
        RunNotActive: none was named, and none is active.
        JobError: none was named, and several are active; or `last` where it is not allowed.
    """
    records = await ledger.runs()
    if given is not None and any(record.run_id == given for record in records):
        return given
    records = [record for record in records if not is_dry_run(record)]
    if given is None or given.casefold() == LAST:
        if why_not_last:
            unfinished = await _unfinished_run(ledger, records) if active else None
            raise JobError(why_not_last, hint=unfinished or _newest_run(records))
        return await (_only(ledger, records) if given is None else _newest(ledger, records, active=active))
    return _matching(given, records)


async def _only(ledger: Ledger, records: Sequence[RunRecord]) -> str:
    running = await _active(ledger, records)
    match running:
        case []:
            if unfinished := await _unfinished_run(ledger, records):
                raise RunNotActive(message("maintenance.none_is_active"), hint=unfinished)
            raise RunNotActive(message("maintenance.no_active_run"))
        case [one]:
            return one.run_id
    raise _several_active(running)


async def _newest(ledger: Ledger, records: Sequence[RunRecord], *, active: bool) -> str:
    if active and len(running := await _active(ledger, records)) > 1:
        raise _several_active(running)
    for record in records:
        if active or record.state is not RunState.PLANNING:
            return record.run_id
    raise NoSuchRun(message("maintenance.no_run_yet"))


def _matching(given: str, records: Sequence[RunRecord]) -> str:
    word = given.strip().casefold()
    ids = {record.run_id.casefold(): record for record in records}
    if word in ids:
        return ids[word].run_id
    if len(word) < LEAST_LETTERS:
        raise NoSuchRun(message("maintenance.run_too_short", given=given, least=LEAST_LETTERS))
    match [record for name, record in ids.items() if name.startswith(word)]:
        case [one]:
            return one.run_id
        case []:
            raise _unknown(word, ids, given)
        case several:
            raise NoSuchRun(message("maintenance.run_ambiguous", given=given, runs=len(several), lines=_lines(several)))


def _unknown(word: str, ids: dict[str, RunRecord], given: str) -> NoSuchRun:
    beginnings = {name[: len(word)]: record for name, record in reversed(ids.items())}  # the newest wins
    near = difflib.get_close_matches(word, beginnings, n=1)
    if near:
        return NoSuchRun(message("maintenance.no_such_run_but", given=given, near=_describe(beginnings[near[0]])))
    return NoSuchRun(message("maintenance.no_such_run", given=given))


async def _active(ledger: Ledger, records: Sequence[RunRecord]) -> list[RunRecord]:
    return [
        record for record in records if record.state is not RunState.FINISHED and await ledger.lock_owner(record.run_id)
    ]


async def _unfinished_run(ledger: Ledger, records: Sequence[RunRecord]) -> Message | None:
    """Name the command that resumes the one run that is neither finished nor active; None unless there is just one."""
    match [record for record in records if record.state is RunState.OPEN]:
        case [one] if not await ledger.lock_owner(one.run_id):
            return message("maintenance.one_unfinished", run=_describe(one), run_id=one.run_id)
    return None


def _several_active(running: Sequence[RunRecord]) -> JobError:
    return JobError(message("maintenance.several_active", runs=len(running), lines=_lines(running)))


def _newest_run(records: Sequence[RunRecord]) -> Message:
    newest = next((record for record in records if record.state is not RunState.PLANNING), None)
    if newest is None:
        return message("maintenance.runs_lists_them")
    return message("maintenance.newest_run", run=_describe(newest))


def _lines(records: Sequence[RunRecord]) -> str:
    lines = [message("maintenance.run_line", **_values(record)) for record in records[:_SHOWN]]
    lines += [message("maintenance.more_lines", count=len(records) - _SHOWN)] if len(records) > _SHOWN else []
    return "\n".join(f"  {line}" for line in lines)


def _describe(record: RunRecord) -> Message:
    return message("maintenance.run", **_values(record))


def _values(record: RunRecord) -> dict[str, str]:
    begun = local_time(record.created_at)
    return {"run_id": record.run_id, "begun": begun, "input": record.input_name}
