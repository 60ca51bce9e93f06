"""Counts, durations, rates and row numbers as text."""

from __future__ import annotations

from collections.abc import Sequence

from batch_enroll.messages import Message, counted, message
from batch_enroll.models import Counts

_SHOWN_ROWS = 5


def rows_text(count: int) -> str:
    """`1 row`, `1,842 rows`."""
    return counted(count, "row")


def begun_before_message(run_id: str, counts: Counts) -> Message | None:
    """Describe a run whose resumption sent nothing; None when no row was ever sent."""
    if not counts.sent:
        return None
    return message("report.begun_before", sent=counts.sent, left=counts.not_sent, run_id=run_id)


def duration_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, parts[:2]))


def rate_text(per_s: float) -> str:
    """`0.25`, `9.8`, `1,240`: as many digits as matter."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def first_rows_text(first_rows: Sequence[int], count: int) -> str:
    """`row 12`, `rows 12, 40 and 77`, `rows 12, 40, 77, 81, 90 and 1,200 more`; "" when no row is named."""
    shown = [str(number) for number in first_rows[:_SHOWN_ROWS]]
    if not shown:
        return ""
    more = max(count, len(first_rows)) - len(shown)
    if more:
        return f"rows {', '.join(shown)} and {more:,} more"
    return f"rows {', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else f"row {shown[0]}"
