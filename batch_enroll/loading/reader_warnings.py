"""Collect the notices about an input while it is read, each once with the number of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from batch_enroll.messages import Message
from batch_enroll.models import Notice

_FIRST_ROWS = 5


@dataclass(slots=True)
class _CollectedNotice:
    message: Message
    count: int = 0
    rows: list[int] = field(default_factory=list)


class ReaderWarnings:
    """Notices in the order in which they were first added."""

    def __init__(self) -> None:
        self._warnings: dict[tuple[str, str], _CollectedNotice] = {}

    def add(self, code: str, message: Message, *, row: int | None = None) -> None:
        """Add a notice about the file, or count one more row for a notice that is there."""
        notice = self._warnings.setdefault((code, repr(message.values)), _CollectedNotice(message))
        if row is not None:
            notice.count += 1
            if len(notice.rows) < _FIRST_ROWS:
                notice.rows.append(row)

    def copy(self) -> ReaderWarnings:
        """Copy the notices, to add others to the copy."""
        twin = ReaderWarnings()
        twin._warnings = {key: replace(notice, rows=[*notice.rows]) for key, notice in self._warnings.items()}
        return twin

    def notices(self) -> tuple[Notice, ...]:
        """All notices so far."""
        return tuple(
            Notice(code=code, message=notice.message, rows=tuple(notice.rows), count=notice.count)
            for (code, _), notice in self._warnings.items()
        )
