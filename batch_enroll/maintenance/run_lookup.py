"""Which run a person means: a whole id, a beginning of it, the word `last`, or nothing at all when only one goes.

In: what was said, the ledger. Out: the id of one run. Never: a guess; what could be two runs is refused, and both are
named.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from batch_enroll.errors import JobError, NoSuchRun, RunNotActive
from batch_enroll.ledger.interface import Ledger, RunRecord, RunState
from batch_enroll.messages import Message
from batch_enroll.run.run_identity import is_dry_run

LAST: Final = "last"
LEAST_LETTERS: Final = 3  #: of a beginning: with fewer a slip of the finger would name a run too
_SHOWN = 5


async def resolve_run_id(
    ledger: Ledger, said: str | None, *, goes: bool = False, why_not_last: Message | str = ""
) -> str:
    """Find the run that is meant.

    Args:
        said: RUN of the command, in whatever case; None when it was left out.
        goes: the command is for runs that go: RUN may be left out while one goes alone, and so may `last` be said.
        why_not_last: one sentence, when the run must be named by its id or a beginning of it; "" when it need not.
    Returns:
        The id as the ledger has it.
    Raises:
        NoSuchRun: no run is called so, or several could be; the message names those that are near.
        NobodyAtWork: none was named, and none goes.
        JobError: none was named, and several go; or `last` was said where it is not taken.
    """
    records = await ledger.runs()
    if said is not None and any(record.run_id == said for record in records):
        return said
    records = [record for record in records if not is_dry_run(record)]
    if said is None or said.casefold() == LAST:
        if why_not_last:
            raise JobError(why_not_last, hint=_choice(records))
        return await (_only(ledger, records) if said is None else _newest(ledger, records, goes=goes))
    return _called(said.strip().casefold(), records, said)


async def _only(ledger: Ledger, records: Sequence[RunRecord]) -> str:
    going = await _going(ledger, records)
    match going:
        case []:
            raise RunNotActive("No run goes at this moment.", hint="`batch-enroll runs` lists those that were.")
        case [one]:
            return one.run_id
    raise _several_go(going)


async def _newest(ledger: Ledger, records: Sequence[RunRecord], *, goes: bool) -> str:
    if goes and len(going := await _going(ledger, records)) > 1:
        raise _several_go(going)
    for record in records:
        if goes or record.state is not RunState.PLANNING:
            return record.run_id
    raise NoSuchRun("There is no run yet.", hint="`batch-enroll run` begins one.")


def _called(word: str, records: Sequence[RunRecord], said: str) -> str:
    ids = {record.run_id.casefold(): record for record in records}
    if word in ids:
        return ids[word].run_id
    if len(word) < LEAST_LETTERS:
        raise NoSuchRun(
            f"'{said}' is too short to name a run.",
            hint=f"Give at least {LEAST_LETTERS} characters of its id; `batch-enroll runs` lists them.",
        )
    match [record for name, record in ids.items() if name.startswith(word)]:
        case [one]:
            return one.run_id
        case []:
            raise _unknown(word, ids, said)
        case several:
            raise NoSuchRun(f"'{said}' could be {len(several)} runs:\n{_lines(several)}", hint="Give more of its id.")


def _unknown(word: str, ids: dict[str, RunRecord], said: str) -> NoSuchRun:
    beginnings = {name[: len(word)]: record for name, record in reversed(ids.items())}  # the newest wins
    near = difflib.get_close_matches(word, beginnings, n=1)
    meant = f"Did you mean {_named(beginnings[near[0]])}? " if near else ""
    return NoSuchRun(f"There is no run {said}.", hint=f"{meant}`batch-enroll runs` lists them.")


async def _going(ledger: Ledger, records: Sequence[RunRecord]) -> list[RunRecord]:
    return [
        record for record in records if record.state is not RunState.FINISHED and await ledger.lock_owner(record.run_id)
    ]


def _several_go(going: Sequence[RunRecord]) -> JobError:
    return JobError(f"{len(going)} runs go at this moment:\n{_lines(going)}", hint="Say which by its id.")


def _choice(records: Sequence[RunRecord]) -> str:
    newest = next((record for record in records if record.state is not RunState.PLANNING), None)
    return f"The newest is {_named(newest)}." if newest else "`batch-enroll runs` lists them."


def _lines(records: Sequence[RunRecord]) -> str:
    lines = [f"  {record.run_id}  begun {_begun(record)}  {record.input_name}" for record in records[:_SHOWN]]
    return "\n".join([*lines, f"  and {len(records) - _SHOWN:,} more"] if len(records) > _SHOWN else lines)


def _named(record: RunRecord) -> str:
    return f"{record.run_id} ({record.input_name}, begun {_begun(record)})"


def _begun(record: RunRecord) -> str:
    return f"{record.created_at.astimezone():%Y-%m-%d %H:%M}"
