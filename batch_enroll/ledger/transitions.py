"""The states that follow an attempt or a decision, and the texts that a ledger itself gives to rows."""

from __future__ import annotations

from typing import Final

from batch_enroll.clock import iso_utc
from batch_enroll.ledger.records import Duplicate, Resolution, RowState
from batch_enroll.messages import message
from batch_enroll.models import RowStatus

STATE_AFTER_ATTEMPT: Final[dict[RowStatus, RowState]] = {
    RowStatus.SUCCESS: RowState.SUCCESS,
    RowStatus.ERROR: RowState.ERROR,
    RowStatus.UNKNOWN: RowState.UNKNOWN,
}
"""The statuses with which an attempt can end."""

STATE_AFTER_DECISION: Final[dict[str, RowState]] = {
    "enrolled": RowState.SUCCESS,
    "not_enrolled": RowState.ERROR,
    "resend": RowState.PLANNED,
}
"""What a person's decision on an unknown row leads to."""

INTERRUPTED: Final = ("interrupted", str(message("ledger.row_interrupted")))
"""Code and text of a row whose process died before the outcome was stored."""

STRAY_ANSWER: Final = ("stray_answer", str(message("ledger.row_stray_answer")))
"""Code and text of a row whose answer may have been another's."""

IN_FLIGHT: Final = ("in_flight", str(message("ledger.row_in_flight")))
"""Code and text of a row in state INTENT."""

SKIPPED_IN_SHORT: Final[dict[str, str]] = {
    "duplicate": str(message("ledger.skipped_duplicate")),
    "already_enrolled": str(message("ledger.skipped_enrolled")),
    "refused_before": str(message("ledger.skipped_refused")),
    "held_unknown": str(message("ledger.skipped_unknown")),
    "forgotten": str(message("ledger.skipped_forgotten")),
    "enrolled_elsewhere": str(message("ledger.skipped_elsewhere")),
}
"""Why rows are skipped, by code, without the row or run that differs from one to the next."""


def storable_text(text: str) -> str:
    """Replace what a database may not store: halves of surrogate pairs, and NUL, which ends a text in SQLite."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def why_skipped(duplicate: Duplicate) -> tuple[str, str]:
    """Return the code and the text of a row that is skipped as a duplicate."""
    if duplicate.earlier_run is None or duplicate.code == "duplicate":
        return "duplicate", str(message("ledger.skipped_duplicate_of", row=duplicate.first_number))
    run_id = duplicate.earlier_run
    when = f" on {iso_utc(duplicate.earlier_at)}" if duplicate.earlier_at else ""
    if duplicate.elsewhere:
        text = message("ledger.skipped_elsewhere_by", run_id=run_id) if run_id else message("ledger.skipped_elsewhere")
        return "enrolled_elsewhere", str(text)
    if duplicate.refused:
        return "refused_before", str(message("ledger.skipped_refused_in", run_id=run_id, when=when))
    if duplicate.held:
        return "held_unknown", str(message("ledger.skipped_unknown_in", run_id=run_id, when=when))
    return "already_enrolled", str(message("ledger.skipped_enrolled_by", run_id=run_id, when=when))


def why_resolved(verdict: Resolution) -> tuple[str, str]:
    """Return the code and the text of a row that a person resolved; who did it and why are stored apart."""
    return "resolved", str(message("ledger.row_resolved", at=iso_utc(verdict.at), decision=verdict.verdict))
