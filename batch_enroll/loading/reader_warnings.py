"""Collect the notices about an input while it is read, each once with the number of its rows."""

from __future__ import annotations

from collections.abc import Container, Iterable
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
    """Notices in the order in which they were first added.

    Args:
        used: positions of the columns that the job uses; None = all. Notices about others are left out.
        matching: position of the column that profiles are matched by, if it is known.
    """

    def __init__(self, *, used: Container[int] | None = None, matching: int | None = None) -> None:
        self._used = used
        self.matching = matching
        self._warnings: dict[tuple[str, str], _CollectedNotice] = {}

    def is_used(self, column: int) -> bool:
        """Tell whether notices about this column are kept."""
        return self._used is None or column in self._used

    def add(self, code: str, message: Message, *, row: int | None = None, columns: Iterable[int] | None = None) -> None:
        """Add a notice about the file, or count one more row for a notice that is there.

        Args:
            row: the number of the row that it is about.
            columns: positions of those that it is about; None = not about columns.
        """
        if columns is not None and not any(map(self.is_used, columns)):
            return
        notice = self._warnings.setdefault((code, repr(message.values)), _CollectedNotice(message))
        if row is not None:
            notice.count += 1
            if len(notice.rows) < _FIRST_ROWS:
                notice.rows.append(row)

    def copy(self, *, used: Container[int] | None, matching: int | None) -> ReaderWarnings:
        """Copy the notices, to add others about the used columns to the copy."""
        twin = ReaderWarnings(used=used, matching=matching)
        twin._warnings = {key: replace(notice, rows=[*notice.rows]) for key, notice in self._warnings.items()}
        return twin

    def notices(self) -> tuple[Notice, ...]:
        """All notices so far."""
        return tuple(
            Notice(code=code, message=notice.message, rows=tuple(notice.rows), count=notice.count)
            for (code, _), notice in self._warnings.items()
        )
