"""Reasons for a status, counted: one line of a plan, a summary table or a JSON summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.messages import title_for
from batch_enroll.models import Notice, RowStatus
from batch_enroll.reporting.formatting import first_rows_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonLine:
    """Rows that share a status and a reason."""

    status: RowStatus
    code: str
    message: str  #: of the first such row
    count: int
    first_rows: tuple[int, ...] = ()  #: row numbers as people see them
    advice: str = ""  #: what can be done, "" when nothing
    column: str = ""  #: of the cell in the first such row, "column 'City'"; "" when the reason is about no cell

    def text(self, arrow: str, *, cells: bool = True) -> str:
        """Return one or two lines, see `reason_text`.

        Args:
            cells: give the message, which may quote a cell; without it the meaning of the code and the column.
        """
        title = ", ".join(filter(None, [title_for(self.code), self.column]))
        return reason_text(
            code=self.code,
            message=self.message if cells else title,
            advice=self.advice,
            count=self.count,
            first_rows=self.first_rows,
            arrow=arrow,
        )


def reason_to_json(reason: ReasonLine) -> dict[str, object]:
    """Return the JSON object: `status`, `code`, `message`, `advice`, `count`, `first_rows`."""
    return {
        "status": reason.status.value,
        "code": reason.code,
        "message": reason.message,
        "advice": reason.advice,
        "count": reason.count,
        "first_rows": list(reason.first_rows),
    }


def notice_to_json(notice: Notice) -> dict[str, object]:
    """Return the JSON object: `code`, `message`, `advice`, `count`, `first_rows`."""
    return {
        "code": notice.code,
        "message": str(notice.message),
        "advice": notice.hint,
        "count": notice.count,
        "first_rows": list(notice.rows),
    }


def reason_text(
    *, code: str = "", message: str, advice: str, count: int, first_rows: Sequence[int], arrow: str = "→"
) -> str:
    """Return a reason in one or two lines: `Profile not found (404): rows 12 and 40`, `→ Import the profile first.`"""
    text = message.rstrip(".") or "No reason was given"
    if code:
        text += f" ({code})"
    rows = first_rows_text(first_rows, count)
    if rows:
        text += f": {rows}"
    return f"{text}\n{arrow} {advice}" if advice else text
