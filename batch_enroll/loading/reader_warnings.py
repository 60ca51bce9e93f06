"""What people should hear about the input, gathered while it is read.

In: remarks as they come up, row by row. Out: each said once, with how many rows it concerns and the first of them.
Never: a row's fate; that is a Problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from batch_enroll.models import Notice

_FIRST_ROWS = 5


@dataclass(slots=True)
class _Remark:
    advice: str
    count: int = 0
    rows: list[int] = field(default_factory=list)


class ReaderWarnings:
    """Notices in the order in which they first came up."""

    def __init__(self) -> None:
        self._remarks: dict[tuple[str, str], _Remark] = {}

    def add(self, code: str, message: str, *, advice: str = "", row: int | None = None) -> None:
        """Say something about the file, or count one more row for what was said."""
        remark = self._remarks.setdefault((code, message), _Remark(advice))
        if row is not None:
            remark.count += 1
            if len(remark.rows) < _FIRST_ROWS:
                remark.rows.append(row)

    def copy(self) -> ReaderWarnings:
        """The same remarks, to go on from."""
        twin = ReaderWarnings()
        twin._remarks = {key: replace(remark, rows=[*remark.rows]) for key, remark in self._remarks.items()}
        return twin

    def notices(self) -> tuple[Notice, ...]:
        """Everything said so far."""
        return tuple(
            Notice(code=code, message=message, advice=remark.advice, rows=tuple(remark.rows), count=remark.count)
            for (code, message), remark in self._remarks.items()
        )
