"""The check of a trial: compares the counts of the platform with the reports of the runs, without I/O.

The unit is a person: an identity as the platform matches it, case-insensitive. Over all rows of one person:

    enrolled <= 1                             else the person was enrolled twice        `duplicated`
    enrolled >= rows with success             else a success did not happen             `lost`
    enrolled <= rows with success or          else a row is error, invalid, skipped
                unknown                       or not_sent, but was enrolled             `misreported`
    requests received <= attempts reported    else a request was sent without an intent `misreported`

Together: success means exactly once; error, invalid, skipped and not_sent mean never; unknown means once or never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch_enroll.models import RowStatus
from batch_enroll.result_columns import ADDED_COLUMNS, unguard

_SHOWN_COMPLAINTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """What one run reported about its input."""

    planned: Sequence[tuple[str, ...]]  #: the input's data rows in order; the first cell is the identity
    results: Sequence[Mapping[str, str]]  #: the lines of the results file
    summary: Mapping[str, Any]  #: the object of the summary file


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """How it went, in numbers. `duplicated`, `lost` and `misreported` must be 0."""

    statuses: Mapping[str, int]  #: status -> rows
    duplicated: int
    lost: int
    misreported: int
    unknown_allowed: int  #: ambiguous faults + cuts x in flight + idle closes
    complaints: tuple[str, ...] = field(repr=False)

    @property
    def rows(self) -> int:
        return sum(self.statuses.values())

    @property
    def unknown(self) -> int:
        return self.statuses.get(RowStatus.UNKNOWN, 0)

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not (self.duplicated or self.lost or self.misreported or self.unknown > self.unknown_allowed)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        text = (
            f"{self.rows} rows ({counts}): {self.duplicated} duplicated, {self.lost} lost, "
            f"{self.misreported} misreported, {self.unknown} unknown of {self.unknown_allowed} allowed"
        )
        return "\n  ".join([text, *self.complaints[:_SHOWN_COMPLAINTS]])


def check(
    platform: Mapping[str, Any], reported: Sequence[ReportedRun], *, cuts: int, in_flight: int, matched: str = "email"
) -> ProofResult:
    """Compare what runs reported with what really happened.

    Args:
        platform: the sandbox's counts, `Stats.as_dict`, since before the first of the runs.
        reported: each run that sent to it, with all rows in their last state.
        cuts: how often requests in flight were abandoned: kills, break-offs, freezes longer than the deadline.
        in_flight: how many there can be at once.
        matched: how the platform finds profiles, the part of the platform's keys before the colon.
    """
    enrolled = _by_person(platform["enrolments"], matched)
    received = _by_person(platform["received"], matched)
    statuses: Counter[str] = Counter()
    attempts: Counter[str] = Counter()
    counted: dict[str, Counter[str]] = {}
    misread: list[str] = []
    for run in reported:
        misread += _misread(run)
        for line in run.results:
            person = _person(next(iter(line.values())))
            statuses[line["enroll_status"]] += 1
            attempts[person] += int(line["enroll_attempts"] or 0)
            counted.setdefault(person, Counter())[line["enroll_status"]] += 1
    duplicated = [f"{person} was enrolled {times} times" for person, times in enrolled.items() if times > 1]
    lost = []
    for person in enrolled.keys() | received.keys() | counted.keys():
        words = counted.get(person, Counter())
        told_of = ", ".join(f"{times} x {status}" for status, times in words.items()) or "no row"
        happened = f"{person} was enrolled {enrolled[person]} times in {received[person]} requests"
        success, unknown = words[RowStatus.SUCCESS], words[RowStatus.UNKNOWN]
        if enrolled[person] < success:
            lost.append(f"{happened}, but the results say {told_of}")
        if success + unknown < enrolled[person] <= 1 or received[person] > attempts[person]:
            misread.append(f"{happened}, but the results say {told_of} in {attempts[person]} attempts")
    return ProofResult(
        statuses=dict(statuses),
        duplicated=len(duplicated),
        lost=len(lost),
        misreported=len(misread),
        unknown_allowed=platform["ambiguous"] + cuts * in_flight + platform["idle_closes"],
        complaints=(*duplicated, *lost, *misread),
    )


def _misread(reported: ReportedRun) -> Iterator[str]:
    """Compare the results with the input line by line, and with the summary."""
    if len(reported.planned) != len(reported.results):
        yield f"{len(reported.planned)} rows went in, {len(reported.results)} lines came out"
    number = 1
    for planned, line in zip(reported.planned, reported.results, strict=False):
        cells = tuple(unguard(cell) for name, cell in line.items() if name not in ADDED_COLUMNS)
        if cells != planned:
            yield f"{planned} is due, the line holds {cells}"
        if int(line["enroll_row"]) <= number:
            yield f"row {line['enroll_row']} comes after row {number}"
        number = int(line["enroll_row"])
        if line["enroll_status"] not in set(RowStatus):
            yield f"row {number} has the status {line['enroll_status']!r}"
    found = Counter(line["enroll_status"] for line in reported.results)
    counts = dict(reported.summary["counts"])
    rows = counts.pop("rows")
    if rows != sum(counts.values()) or rows != len(reported.planned):
        yield f"the summary's totals do not add up to {len(reported.planned)}: {reported.summary['counts']}"
    if {status: count for status, count in counts.items() if count} != dict(found):
        yield f"the summary says {counts}, the results {dict(found)}"


def _by_person(counts: Mapping[str, Mapping[str, int]], matched: str) -> Counter[str]:
    """Add up an platform's counts over scenarios, person by person."""
    total: Counter[str] = Counter()
    for by_key in counts.values():
        for key, times in by_key.items():
            total[_person(key.removeprefix(f"{matched}:"))] += times
    return total


def _person(identity: str) -> str:
    return unguard(identity).strip().casefold()
