"""The moves of a row and the words that go with them: what every ledger shares.

In: nothing. Out: which state a move starts from, what a person's verdict means, and the codes and sentences that a
ledger itself gives to rows. Never: I/O.
"""

from __future__ import annotations

from batch_enroll.clock import iso_utc
from batch_enroll.errors import LedgerError, NoSuchRun, RowTaken, RunLocked
from batch_enroll.ledger.records import Duplicate, Resolution, RowState
from batch_enroll.models import RowStatus

SETTLED: dict[RowStatus, RowState] = {
    RowStatus.SUCCESS: RowState.SUCCESS,
    RowStatus.ERROR: RowState.ERROR,
    RowStatus.UNKNOWN: RowState.UNKNOWN,
}
"""What an attempt can end in; any other status is no word on a row that was sent."""

VERDICTS: dict[str, RowState] = {
    "enrolled": RowState.SUCCESS,
    "not_enrolled": RowState.ERROR,
    "resend": RowState.PLANNED,
}
"""What a person's word on an unknown row makes of it."""

INTERRUPTED = ("interrupted", "The program ended while this row was being sent; no answer is known.")
IN_FLIGHT = ("in_flight", "This row is being sent; no answer is known yet.")

SKIPPED_IN_SHORT: dict[str, str] = {
    "duplicate": "The same profile stands in an earlier row.",
    "already_enrolled": "An earlier run enrolled the profile.",
    "held_unknown": "An earlier run may have enrolled the profile; nobody has found out yet.",
}
"""Why rows are skipped, without the row or run that differs from one to the next."""


def storable_text(text: str) -> str:
    """Make a text from outside fit to be kept: no half of a surrogate pair, and no NUL, which ends a text in SQLite."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def why_skipped(duplicate: Duplicate) -> tuple[str, str]:
    """Give the code and the sentence of a row that is skipped as a duplicate."""
    if duplicate.earlier_run is None:
        return "duplicate", f"The same profile stands in row {duplicate.first_number}."
    when = f" on {iso_utc(duplicate.earlier_at)}" if duplicate.earlier_at else ""
    if duplicate.held:
        return "held_unknown", f"Run {duplicate.earlier_run} sent this profile{when} and got no clear answer."
    return "already_enrolled", f"Run {duplicate.earlier_run} enrolled this profile{when}."


def illegal(seq: int, *, wanted: RowState) -> LedgerError:
    """Say that a row does not stand where the move begins: it was moved by someone else, or is not there."""
    kind = RowTaken if wanted is RowState.PLANNED else LedgerError
    return kind(
        f"Place {seq} of the plan is not in state {wanted.name}, so the ledger refuses to move it.",
        hint="Nothing was sent for it. This should not happen: please report it with the run's number.",
    )


def not_open(run_id: str) -> LedgerError:
    """Say that a run cannot be written: it was closed, opened for reading, or is not in the right state."""
    return LedgerError(f"Run {run_id} is not open for this step.")


def has_worker(run_id: str) -> RunLocked:
    """Build the error that a run in SQLite takes one worker at a time."""
    return RunLocked(f"Run {run_id} has a worker already.", hint="A ledger in a file takes one worker at a time.")


def wrong_size(*, expected: int, found: int) -> LedgerError:
    """Say that the plan does not hold the rows that were read."""
    return LedgerError(f"The plan should hold {expected} rows and holds {found}.")


def out_of_order(seq: int, *, last: int) -> LedgerError:
    """Say that a row does not come right after the last one planned."""
    return LedgerError(f"Place {seq} of the plan does not follow place {last}.")


def why_resolved(verdict: Resolution) -> tuple[str, str]:
    """Give the code and the sentence of a row that a person resolved; who and why stay in the ledger."""
    return "resolved", f"Resolved by hand on {iso_utc(verdict.at)}: {verdict.verdict}."


def no_such_run(run_id: str) -> NoSuchRun:
    return NoSuchRun(f"There is no run {run_id}.", hint="`batch-enroll runs` lists them.")


def exists_already(run_id: str) -> RunLocked:
    """Say that another process planned the same run between our look and our beginning."""
    return RunLocked(f"Run {run_id} was begun by another process just now.", hint="Give the same command again.")


def still_planned(run_id: str) -> LedgerError:
    return LedgerError(f"Run {run_id} is still being planned; there is nothing to read yet.")


def is_pruned(run_id: str) -> LedgerError:
    """Say that nobody knows any more what happened to each row, so that none can be sent or changed."""
    return LedgerError(
        f"Run {run_id} was pruned: its totals are kept, what happened to each of its rows is not.",
        hint=f"`batch-enroll show {run_id}` tells the totals. To send the same file once more: run it with --again.",
    )


def still_needed(run_id: str, *, unknown: int) -> LedgerError:
    """Say why a run is not pruned: something of it is not settled yet."""
    if unknown:
        return LedgerError(
            f"Run {run_id} is kept: what became of {unknown:,} of its rows is unknown.",
            hint=f"Say what became of them first: batch-enroll resolve {run_id}",
        )
    return LedgerError(f"Run {run_id} is kept: it is unfinished.", hint="The same run command carries it on.")


def has_sent(run_id: str) -> LedgerError:
    return LedgerError(f"Run {run_id} has sent rows, so it is kept.")
