"""Plan rows: build each row's request, its keyed hashes for the ledger and its line in the stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from batch_enroll.config.job import Job
from batch_enroll.errors import InvalidRow
from batch_enroll.ledger.records import Duplicate, PlannedRow
from batch_enroll.mapping.row_mapper import Mapper
from batch_enroll.models import Problem, Row
from batch_enroll.run.enrolled_elsewhere import EnrolledElsewhere
from batch_enroll.run.identity_keys import ContentHashes, IdentityKeys
from batch_enroll.run.phone_spellings import PhoneSpellings
from batch_enroll.sending.request_body import BodyWriter, UnsendableValue

_FIRST_ROWS = 5


@dataclass(slots=True)
class PlanCounters:
    """Numbers and a few examples of the planned rows; its size does not grow with them."""

    rows: int = 0
    #: by code of the problem, the first one and row numbers
    examples: dict[str, tuple[Problem, list[int]]] = field(default_factory=dict)
    invalid: Counter[str] = field(default_factory=Counter)  #: by code of the problem
    skipped: Counter[str] = field(default_factory=Counter)  #: by code, why rows with a valid request are not sent
    repeated: int = 0  #: rows whose profile stands in an earlier row of this input, skipped or not
    enrolled: int = 0  #: rows whose profile another run enrolled, skipped or not
    held: int = 0  #: rows whose profile another run left unknown, skipped or not
    first_elsewhere: list[int] = field(default_factory=list)  #: first row numbers of those enrolled elsewhere
    last_at: datetime | None = None  #: when the last of the enrolled ones was enrolled
    last_run: str = ""  #: by which run

    def count_problem(self, problem: Problem, number: int) -> None:
        """Count a reason why a row cannot be sent."""
        self.invalid[problem.code] += 1
        first = self.examples.setdefault(problem.code, (problem, []))[1]
        if len(first) < _FIRST_ROWS:
            first.append(number)

    def count_duplicates(self, duplicates: Sequence[Duplicate]) -> None:
        """Count rows whose profile stands in an earlier row or run."""
        for duplicate in duplicates:
            if duplicate.code:
                self.skipped[duplicate.code] += 1
            if duplicate.earlier_run is None:
                self.repeated += 1
            elif duplicate.elsewhere:
                if len(self.first_elsewhere) < _FIRST_ROWS:
                    self.first_elsewhere.append(duplicate.number)
            elif duplicate.held:
                self.held += 1
            elif not duplicate.refused:
                self.enrolled += 1
                if duplicate.earlier_at and (self.last_at is None or duplicate.earlier_at > self.last_at):
                    self.last_at, self.last_run = duplicate.earlier_at, duplicate.earlier_run


class RowPlanner:
    """Plans the rows of one table, in their order."""

    def __init__(
        self,
        job: Job,
        mapper: Mapper,
        keys: IdentityKeys,
        *,
        salt: bytes,
        elsewhere: EnrolledElsewhere | None = None,
        phones: PhoneSpellings | None = None,
    ) -> None:
        """Prepare what all rows have in common: the mapping, the request's form, the keyed hashes.

        Args:
            elsewhere: which results of a results file count; None = the input is none.
            phones: gets every phone; None = their spellings are not compared.
        """
        self.counters = PlanCounters()
        self._build = mapper.build
        self._body = BodyWriter(
            scenario=job.scenario,
            mode=job.match.mode,
            field_name=job.match.field_name,
            resource_id=job.match.resource_id,
        ).body
        self._keys = keys
        self._content_hash = ContentHashes(salt).of
        self._aliases: list[tuple[int, bytes]] = []
        self._phones = phones
        self._elsewhere = elsewhere
        self._enrolled_elsewhere: list[tuple[int, str]] = []

    def take_aliases(self) -> list[tuple[int, bytes]]:
        """Give (seq, key) for the other keys of the rows planned since the last call."""
        taken, self._aliases = self._aliases, []
        return taken

    def take_enrolled_elsewhere(self) -> list[tuple[int, str]]:
        """Give (seq, run) for the rows planned since the last call that a run of another ledger sent."""
        taken, self._enrolled_elsewhere = self._enrolled_elsewhere, []
        return taken

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
                key = self._keys.key(compare)  # cannot fail: the body, which holds the same letters, could be encoded
                planned.append(PlannedRow(seq, row.number, key, self._content_hash(body)))
                if self._phones:
                    self._phones.add(seq, str(request.identity), compare)
                if row.earlier and self._elsewhere and self._elsewhere.is_skipped(row.earlier):
                    self._enrolled_elsewhere.append((seq, row.earlier.run_id))
                if self._keys.has_aliases:
                    self._aliases += [(seq, alias) for alias in self._keys.aliases(compare)]
            staged.append((row, body))
        self.counters.rows = seq
        return planned, staged

    def _with_problems(self, row: Row, problems: tuple[Problem, ...]) -> Row:
        for problem in problems:
            self.counters.count_problem(problem, row.number)
        return Row(row.number, row.cells, problems)
