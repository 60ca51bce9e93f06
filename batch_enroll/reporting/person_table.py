"""The rows that runs have of one person, as a table and as JSON; the person's own value is not in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from batch_enroll.clock import iso_utc, local_time
from batch_enroll.models import RowStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """One row of a run about one person. Times are aware UTC."""

    run_id: str
    input_name: str
    created_at: datetime  #: when the run was begun
    scenario: int
    number: int | None  #: None when the run's rows are no longer kept
    status: RowStatus
    code: str
    reason: str
    sent_at: datetime | None


def print_person_rows(rows: Sequence[PersonRow], stream: IO[str]) -> None:
    """Print the rows, one on a line."""
    from batch_enroll.reporting.rich_console import TextScreen

    head = ("run", "begun", "scenario", "row", "status", "sent", "input", "reason")
    lines = [
        (
            row.run_id,
            _local(row.created_at),
            f"#{row.scenario}",
            "" if row.number is None else f"{row.number:,}",
            row.status.value,
            _local(row.sent_at) if row.sent_at else "",
            row.input_name,
            _why(row),
        )
        for row in rows
    ]
    TextScreen(stream).columns([head, *lines], right={3})


def person_rows_to_json(rows: Sequence[PersonRow]) -> list[dict[str, object]]:
    """Return for each row `run`, `input`, `created_at`, `scenario`, `row`, `status`, `code`, `message`, `sent_at`."""
    return [
        {
            "run": row.run_id,
            "input": row.input_name,
            "created_at": iso_utc(row.created_at),
            "scenario": row.scenario,
            "row": row.number,
            "status": row.status.value,
            "code": row.code,
            "message": row.reason,
            "sent_at": iso_utc(row.sent_at) if row.sent_at else None,
        }
        for row in rows
    ]


def _why(row: PersonRow) -> str:
    if row.status is RowStatus.SUCCESS:
        return ""
    return f"{row.reason.rstrip('.')} ({row.code})" if row.code else row.reason


def _local(moment: datetime) -> str:
    return local_time(moment)
