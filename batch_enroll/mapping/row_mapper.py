"""Turn a row into a start request by the job's matching and content columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from batch_enroll.column_lookup import find_column
from batch_enroll.errors import InvalidRow
from batch_enroll.mapping.identity_values import IdentityValue, formula_text, identity_check
from batch_enroll.mapping.unlike_rows import UnlikeRows
from batch_enroll.messages import Message, message
from batch_enroll.models import (
    FieldType,
    Matching,
    MatchingMode,
    Notice,
    Problem,
    Row,
    StartRequest,
)

_FIRST_ROWS = 5


class Mapped(NamedTuple):
    """A row that can be sent."""

    request: StartRequest
    compare: str  #: the same text means the same profile; the ledger's key is made of it


class Mapper:
    """Builds requests from the rows of one table.

    Raises:
        InputError: on construction, when a column is not in the header or its name stands there twice.
    """

    def __init__(
        self,
        *,
        columns: Sequence[str],
        scenario: int,
        matching: Matching,
        content: Sequence[tuple[str, str]],
        resource_id: int | None = None,
        country: str | None = None,
    ) -> None:
        self._matching = matching
        self._scenario = scenario
        self._mode = matching.mode
        self._field_name = matching.field_name
        self._resource_id = resource_id
        self._check = identity_check(matching.mode, field_type=matching.field_type, country=country)
        self._identity_at = find_column(columns, matching.column)
        self._content = [(name, find_column(columns, column)) for name, column in content]
        self._names = list(columns)
        self._used = {self._identity_at, *(at for _, at in self._content)}
        has_no_syntax = matching.mode in (MatchingMode.CUSTOM, MatchingMode.PROFILE_ID)
        is_judged = has_no_syntax and matching.field_type is FieldType.STRING
        self._unlike = UnlikeRows(at=self._identity_at, column=matching.column) if is_judged else None
        self._first_rows: dict[tuple[str, str], list[int]] = {}  # by code and column
        self._tidied_counts: dict[tuple[str, str], int] = {}

    def mark_unlike(self, blocks: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """Add to the rows of a table the problem of those that seem to be no profile."""
        return self._unlike.mark(blocks) if self._unlike else blocks

    def build(self, row: Row) -> Mapped:
        """Make the request of one row.

        Raises:
            InvalidRow: with every problem of the row that matters for what would be sent, in column order.
        """
        problems = [p for p in row.problems if p.column is None or p.column in self._used] if row.problems else []
        identity = self._identity(row, problems)
        if problems or identity is None:
            raise InvalidRow(tuple(problems))
        if identity.tidied:
            for code in identity.tidied:
                self._count(code, self._matching.column, row.number)
        cells = row.cells
        content = tuple([(name, cells[at]) for name, at in self._content if cells[at]]) if self._content else ()
        if content and '="' in [value[:2] for _, value in content]:
            content = self._unwrap(row)
        request = StartRequest(self._scenario, self._mode, identity.value, self._field_name, self._resource_id, content)
        return Mapped(request, identity.compare)

    def notices(self) -> tuple[Notice, ...]:
        """Return what was removed from the cells of the rows built so far, and which rows look unlike the others."""
        tidied = tuple(
            Notice(
                code=code,
                message=Message(f"row.{code}", {"count": count, "column": column}),
                rows=tuple(self._first_rows[code, column]),
                count=count,
            )
            for (code, column), count in self._tidied_counts.items()
        )
        return (*tidied, *(self._unlike.notices() if self._unlike else ()))

    def _identity(self, row: Row, problems: list[Problem]) -> IdentityValue | None:
        if problems and any(problem.column == self._identity_at for problem in problems):
            return None  # the loader has named the problem of this cell already
        checked = self._check(row.cells[self._identity_at])
        if isinstance(checked, IdentityValue):
            return checked
        name = self._names[self._identity_at].strip()
        if checked.code == "identity_empty":
            said = message("row.identity_missing", column=name)
        else:
            said = message("row.in_column", column=name, problem=checked.message)
        problems.append(replace(checked, message=said, column=self._identity_at))
        problems.sort(key=lambda problem: -1 if problem.column is None else problem.column)
        return None

    def _unwrap(self, row: Row) -> tuple[tuple[str, str], ...]:
        """Return the content of a row with the texts inside ="…"."""
        content = []
        for name, at in self._content:
            value = row.cells[at]
            if value[:2] == '="' and (inside := formula_text(value)) is not None:
                self._count("formula_text", self._names[at].strip(), row.number)
                value = inside
            if value:
                content.append((name, value))
        return tuple(content)

    def _count(self, code: str, column: str, number: int) -> None:
        self._tidied_counts[code, column] = self._tidied_counts.get((code, column), 0) + 1
        first = self._first_rows.setdefault((code, column), [])
        if len(first) < _FIRST_ROWS:
            first.append(number)
