"""Column-to-matching mapping: a row becomes a start request.

In: a `Row` and the job's matching and content columns, resolved against the input's header once. Out: the
`StartRequest` with the text by which two rows are compared, or `InvalidRow` with every reason. Never: I/O, a guess;
what was tidied on the way is counted and told as notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from batch_enroll.columns import find_column
from batch_enroll.errors import InvalidRow
from batch_enroll.mapping.identity_values import IdentityValue, identity_check
from batch_enroll.models import (
    Matching,
    Notice,
    Problem,
    Row,
    StartRequest,
)

_FIRST_ROWS = 5

_TIDIED = {
    "trimmed": ("{n} had blanks or invisible characters around the {column}; they are left out.", ""),
    "blanks_kept": (
        "{n} {have} blanks or invisible characters around the {column}; they are sent as they stand.",
        "Remove them in the file if they do not belong to the value.",
    ),
    "mailto": ("{n} had 'mailto:' before the {column}; it is left out.", ""),
    "named_address": ("{n} held a name and an address in {column}; the address alone is sent.", ""),
    "tel": ("{n} had 'tel:' before the {column}; it is left out.", ""),
    "apostrophe": ("{n} had an apostrophe before the {column}; it is left out.", ""),
    "country_added": ("{n} held a {column} without a country code; the job's country was added.", ""),
    "lookalike_letters": (
        "{n} {have} letters of two alphabets in one word of the {column} (a Cyrillic 'а' looks like a Latin 'a').",
        "Look at these addresses: they are sent as they stand and may reach nobody.",
    ),
}


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
        self._tidied: dict[str, list[int]] = {}
        self._tidied_counts: dict[str, int] = {}

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
            for slug in identity.tidied:
                self._count(slug, row.number)
        cells = row.cells
        content = tuple([(name, cells[at]) for name, at in self._content if cells[at]]) if self._content else ()
        request = StartRequest(self._scenario, self._mode, identity.value, self._field_name, self._resource_id, content)
        return Mapped(request, identity.compare)

    def notices(self) -> tuple[Notice, ...]:
        """What was tidied in the rows built so far: one notice for each kind."""
        column = f"'{self._matching.column}'"
        return tuple(
            Notice(
                code=slug,
                message=_TIDIED[slug][0].format(
                    n=f"{count:,} row" + ("s" if count > 1 else ""), have="have" if count > 1 else "has", column=column
                ),
                advice=_TIDIED[slug][1],
                rows=tuple(self._tidied[slug]),
                count=count,
            )
            for slug, count in self._tidied_counts.items()
        )

    def _identity(self, row: Row, problems: list[Problem]) -> IdentityValue | None:
        if problems and any(problem.column == self._identity_at for problem in problems):
            return None  # the loader has said already what is wrong with this very cell
        checked = self._check(row.cells[self._identity_at])
        if isinstance(checked, IdentityValue):
            return checked
        name = self._names[self._identity_at].strip()
        message = f"no {name} in this row" if checked.code == "identity_empty" else f"{name}: {checked.message}"
        problems.append(replace(checked, message=message, column=self._identity_at))
        problems.sort(key=lambda problem: -1 if problem.column is None else problem.column)
        return None

    def _count(self, slug: str, number: int) -> None:
        self._tidied_counts[slug] = self._tidied_counts.get(slug, 0) + 1
        first = self._tidied.setdefault(slug, [])
        if len(first) < _FIRST_ROWS:
            first.append(number)
