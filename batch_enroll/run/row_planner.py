"""Plan rows: build each row's request, its keyed hashes for the ledger and its line in the stage."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from batch_enroll.config.job import Job
from batch_enroll.errors import InvalidRow
from batch_enroll.ledger.records import Duplicate, PlannedRow
from batch_enroll.mapping.row_mapper import Mapper
from batch_enroll.messages import Message
from batch_enroll.models import Problem, Row
from batch_enroll.sending.request_body import BodyWriter, UnsendableValue

_FIRST_ROWS = 5


@dataclass(slots=True)
class PlanCounters:
    """Numbers and a few examples of the planned rows; its size does not grow with them."""

    rows: int = 0
    #: by code of the problem, the first message and row numbers
    examples: dict[str, tuple[Message | str, list[int]]] = field(default_factory=dict)
    invalid: Counter[str] = field(default_factory=Counter)  #: by code of the problem
    duplicates: Counter[str] = field(default_factory=Counter)  #: `inside` this input, `enrolled` earlier, or `held`

    def count_problem(self, problem: Problem, number: int) -> None:
        """Count a reason why a row cannot be sent."""
        self.invalid[problem.code] += 1
        first = self.examples.setdefault(problem.code, (problem.message, []))[1]
        if len(first) < _FIRST_ROWS:
            first.append(number)

    def count_duplicates(self, duplicates: Sequence[Duplicate]) -> None:
        """Count rows whose profile stands in an earlier row or run."""
        for duplicate in duplicates:
            self.duplicates["held" if duplicate.held else "enrolled" if duplicate.earlier_run else "inside"] += 1


class RowPlanner:
    """Plans the rows of one table, in their order."""

    def __init__(self, job: Job, mapper: Mapper, *, salt: bytes) -> None:
        """Prepare what all rows have in common: the mapping, the request's form, the keyed hashes."""
        self.counters = PlanCounters()
        self._build = mapper.build
        self._body = BodyWriter(
            scenario=job.scenario,
            mode=job.match.mode,
            field_name=job.match.field_name,
            resource_id=job.match.resource_id,
        ).body
        self._key = hashlib.blake2b(key=salt, digest_size=16)  #: initialised once, copied for each row
        self._key.update(f"{job.url}\n{job.scenario}\n{job.match.mode}\n{job.match.field_name or ''}\n".encode())
        self._content = hashlib.blake2b(key=salt, digest_size=8)

    def plan(self, block: Sequence[Row]) -> tuple[list[PlannedRow], list[tuple[Row, str]]]:
        """Plan the next rows.

        Returns:
            For each row what the ledger keeps of it; and for each row the row, with every problem found, and its
            request's body, "" when it is invalid.
        """
        planned: list[PlannedRow] = []
        staged: list[tuple[Row, str]] = []
        seq = self.counters.rows
        for row in block:
            seq += 1
            try:
                request, compare = self._build(row)
                body = self._body(request)
            except InvalidRow as invalid:
                row = self._with_problems(row, invalid.problems)
                body = ""
                planned.append(PlannedRow(seq, row.number, None, b"", invalid.problems[0].code))
            except UnsendableValue as error:
                problem = Problem(code="value_unsendable", message=error.content)
                row = self._with_problems(row, (problem,))
                body = ""
                planned.append(PlannedRow(seq, row.number, None, b"", problem.code))
            else:
                key, content = self._key.copy(), self._content.copy()
                key.update(compare.encode())  # cannot fail: the body, which holds the same letters, could be encoded
                content.update(body.encode())
                planned.append(PlannedRow(seq, row.number, key.digest(), content.digest()))
            staged.append((row, body))
        self.counters.rows = seq
        return planned, staged

    def _with_problems(self, row: Row, problems: tuple[Problem, ...]) -> Row:
        for problem in problems:
            self.counters.count_problem(problem, row.number)
        return Row(row.number, row.cells, problems)
