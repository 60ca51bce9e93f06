"""Find the rows of one person in the runs of a ledger; the value that is looked for is stored nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batch_enroll.config.job import Job
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import FoundRow, RunRecord, RunState
from batch_enroll.mapping.identity_values import Check, IdentityValue, identity_check
from batch_enroll.messages import message, title_for
from batch_enroll.models import MatchingMode, RowStatus
from batch_enroll.reporting.person_table import PersonRow
from batch_enroll.run.identity_keys import identity_keys
from batch_enroll.run.run_identity import is_dry_run
from batch_enroll.sending.request_body import restore


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """How the runs with one matching know a person."""

    keys: tuple[bytes, ...]  #: those of earlier releases included; none when the text is no identity there
    column: str  #: of the input
    is_same: Callable[[str], bool]  #: whether a cell of that column names the person


class PersonLookup:
    """Looks one person up in the runs of a ledger.

    Args:
        text: an address, a phone with or without its plus, a profile id or a custom value, as an input has it.
    """

    def __init__(self, ledger: Ledger, text: str) -> None:
        self._ledger = ledger
        self._text = text
        self._by_rules: dict[str, PersonKeys] = {}

    async def keys(self, record: RunRecord) -> PersonKeys:
        """Make the keys of the person by the matching of a run."""
        job = job_of(record)
        rules = repr((job.url, job.scenario, job.match))
        if rules not in self._by_rules:
            self._by_rules[rules] = await self._make_keys(job)
        return self._by_rules[rules]

    async def rows(self, record: RunRecord) -> list[PersonRow]:
        """List the rows that a planned run has of the person.

        Raises:
            LedgerError: the run cannot be read.
        """
        keys = (await self.keys(record)).keys
        found = await self._ledger.find_rows(record.run_id, keys) if keys else []
        is_active = bool(found) and bool(await self._ledger.lock_owner(record.run_id))
        return [person_row(record, row, is_active=is_active) for row in found]

    async def _make_keys(self, job: Job) -> PersonKeys:
        match = job.match
        check = identity_check(match.mode, field_type=match.field_type, country=match.country)
        spelled = {compare for text in self._spellings(match.mode) if (compare := compared(check, text)) is not None}
        keys: set[bytes] = set()
        if spelled:
            made = await identity_keys(job, self._ledger)
            for compare in spelled:
                keys |= {made.key(compare), *made.aliases(compare)}
        return PersonKeys(tuple(sorted(keys)), match.column, lambda cell: compared(check, cell) in spelled)

    def _spellings(self, mode: MatchingMode) -> tuple[str, ...]:
        """Give the text, and a phone also the other way round: with its plus or without it."""
        if mode is not MatchingMode.PHONE:
            return (self._text,)
        bare = self._text.strip()
        return (self._text, bare[1:] if bare.startswith("+") else f"+{bare}")


def job_of(record: RunRecord) -> Job:
    """Give as much of the job of a run as its keys depend on."""
    match = Job.settings_from_json(record.settings_json)["match"]
    return Job.model_validate({"url": record.url, "scenario": record.scenario, "match": match, "insecure_http": True})


async def find_person(ledger: Ledger, text: str) -> list[PersonRow]:
    """List the rows of all runs about one person, the newest run first.

    Args:
        text: as `PersonLookup` takes it.
    Raises:
        LedgerError: a run cannot be read.
    """
    lookup = PersonLookup(ledger, text)
    return [row for record in await ledger.runs() if is_planned(record) for row in await lookup.rows(record)]


def is_planned(record: RunRecord) -> bool:
    """Tell whether a run has a finished plan and is not a dry run."""
    return record.state is not RunState.PLANNING and not is_dry_run(record)


def person_row(record: RunRecord, found: FoundRow, *, is_active: bool) -> PersonRow:
    """Put together what is shown of a row."""
    outcome = found.outcome
    code, reason = outcome.code, restore(str(outcome.message), "…")
    if outcome.status is RowStatus.NOT_SENT and not code:
        waits = message("sending.waits_for_turn" if is_active else "sending.no_turn")
        code, reason = "" if is_active else "stopped", str(waits)
    elif outcome.status is RowStatus.INVALID:
        reason = title_for(code)
    return PersonRow(
        run_id=record.run_id,
        input_name=record.input_name,
        created_at=record.created_at,
        scenario=record.scenario,
        number=found.number,
        status=outcome.status,
        code=code,
        reason=reason,
        sent_at=outcome.sent_at,
    )


def compared(check: Check, text: str) -> str | None:
    """Give the text by which a cell is compared; None when it is no identity."""
    found = check(text)
    if not isinstance(found, IdentityValue):
        return None
    try:
        found.compare.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no request can hold
        return None
    return found.compare
